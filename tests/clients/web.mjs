// The web provider for a page: `window.guidon.begin(…)`, and what it has noticed since.
import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";
import { OpenFeature, ProviderEvents } from "@openfeature/web-sdk";

const events = [];
for (const name of Object.values(ProviderEvents)) {
  OpenFeature.addHandler(name, (details) => events.push([name, details?.flagsChanged ?? null]));
}

window.guidon = {
  events,
  async begin(baseUrl, token, context, pollInterval) {
    await OpenFeature.setContext(context);
    const headers = [["Authorization", `Bearer ${token}`]];
    const options = { baseUrl, headers, pollInterval, cacheMode: "disabled" };
    try {
      await OpenFeature.setProviderAndWait(new OFREPWebProvider(options));
    } catch (error) {
      return String(error?.message ?? error);
    }
    return OpenFeature.getClient().providerStatus;
  },
  become: (context) => OpenFeature.setContext(context),
  ask(type, key, fallback) {
    const client = OpenFeature.getClient();
    const by = {
      boolean: client.getBooleanDetails.bind(client),
      string: client.getStringDetails.bind(client),
      number: client.getNumberDetails.bind(client),
      object: client.getObjectDetails.bind(client),
    };
    return by[type](key, fallback);
  },
  end: () => OpenFeature.close(),
};
