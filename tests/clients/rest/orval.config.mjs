export default {
  guidon: {
    input: "schema.json",
    output: {
      target: "src/guidon.ts",
      client: "fetch",
      mode: "split",
      clean: ["src/guidon.ts", "src/guidon.schemas.ts"],
      override: { mutator: { path: "request.ts", name: "request" } },
    },
  },
};
