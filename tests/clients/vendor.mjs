// LaunchDarkly's own SDK for browsers, as a page has it. The test runs what the documentation shows.
import * as LaunchDarkly from "launchdarkly-js-client-sdk";

window.LaunchDarkly = LaunchDarkly;
window.guidon = {
  show(client) {
    window.guidon.client = client;
    for (const element of document.querySelectorAll("[data-flag]")) {
      element.textContent = String(client.variation(element.dataset.flag, null));
    }
  },
  // After a login without a new page: who it is now, as the server says.
  async become() {
    const answer = await fetch("/api/v1/bootstrap/", { credentials: "same-origin" });
    const start = await answer.json();
    return window.guidon.client.identify(start.context, start.hash);
  },
  identifyWith: (context, hash) => window.guidon.client.identify(context, hash),
};
