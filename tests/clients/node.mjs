// Asks for one flag with @openfeature/ofrep-provider and prints what came back, as JSON.
//     node node.mjs BASE_URL TOKEN '[["boolean", "new-checkout", false, {"targetingKey": "…"}], …]'
import { OFREPProvider } from "@openfeature/ofrep-provider";
import { OpenFeature } from "@openfeature/server-sdk";

const [baseUrl, token, questions] = process.argv.slice(2);
const headers = token ? [["Authorization", `Bearer ${token}`]] : [];
await OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl, headers }));
const client = OpenFeature.getClient();
const ask = {
  boolean: (...all) => client.getBooleanDetails(...all),
  string: (...all) => client.getStringDetails(...all),
  number: (...all) => client.getNumberDetails(...all),
  object: (...all) => client.getObjectDetails(...all),
};
const answers = [];
for (const [type, key, fallback, context] of JSON.parse(questions)) {
  answers.push(await ask[type](key, fallback, context));
}
console.log(JSON.stringify(answers));
await OpenFeature.close();
