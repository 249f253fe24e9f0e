// LaunchDarkly's own SDK for browsers, started with what `{% flags_bootstrap %}` wrote into the page.
import * as LaunchDarkly from "launchdarkly-js-client-sdk";

window.guidon = {
  async begin(vendor) {
    const start = JSON.parse(document.getElementById("guidon-flags").textContent);
    const client = LaunchDarkly.initialize(start.clientSideId, start.context, {
      bootstrap: start.flags,
      hash: start.hash,
      fetchGoals: false,
      baseUrl: vendor,
      streamUrl: vendor,
      eventsUrl: vendor,
      sendEvents: false,
    });
    await client.waitForInitialization(5);
    window.guidon.client = client;
    for (const element of document.querySelectorAll("[data-flag]")) {
      element.textContent = String(client.variation(element.dataset.flag, null));
    }
  },
  // After a login without a new page: who it is now, as the server says.
  async become() {
    const answer = await fetch("/api/v1/flags/bootstrap/", { credentials: "same-origin" });
    const start = await answer.json();
    return window.guidon.client.identify(start.context, start.hash);
  },
  identifyWith: (context, hash) => window.guidon.client.identify(context, hash),
};
