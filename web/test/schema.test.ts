import { readFileSync } from "node:fs";
import { join } from "node:path";
import openapiTS, { astToString, COMMENT_HEADER } from "openapi-typescript";
import { expect, test } from "vitest";

test("the types are those of the OpenAPI document (npm run types)", async () => {
  const web = join(import.meta.dirname, "..");
  const document = JSON.parse(readFileSync(join(web, "openapi.json"), "utf8")) as Parameters<typeof openapiTS>[0];
  const made = COMMENT_HEADER + astToString(await openapiTS(document));
  expect(readFileSync(join(web, "src/lib/api/schema.ts"), "utf8")).toBe(made);
});
