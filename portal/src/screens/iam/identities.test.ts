import { expect, test } from "vitest";
import { HUB, IDENTITY, NAMESPACE } from "../../resources";
import { identityHits, type Identity } from "./identities";

const guid = (digit: string) => `${digit.repeat(8)}-1111-4111-8111-111111111111`;
const row = (name: string, type: string, digit: string): Identity => ({ id: `/x/${name}`, name, type: type.toLowerCase(), resourceGroup: "g", principalId: guid(digit) });
const ROWS = [row("uami", IDENTITY, "a"), row("plant", NAMESPACE, "b"), row("hub", HUB, "c")];

test.each([
  [IDENTITY, "", ["uami"]],
  [IDENTITY, " UA ", ["uami"]],
  [IDENTITY, "plant", []],
  [NAMESPACE, "bbbb", ["plant"]],
  // Seed 002 pastes the principal id of a namespace while the kind is the first one.
  [IDENTITY, ` ${guid("b").toUpperCase()} `, ["plant"]],
  [HUB, guid("a"), ["uami"]],
  [HUB, guid("d"), []],
])("under %s '%s' finds %j", (kind, text, names) => {
  expect(identityHits(ROWS, kind, text).map((each) => each.name)).toEqual(names);
});
