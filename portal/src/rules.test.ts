import { expect, test } from "vitest";
import * as rules from "./rules";

/** Names that the server takes (`true`) and refuses, by rule. */
const NAMES: [string, rules.Rule, [string, boolean][]][] = [
  ["namespace", rules.namespaceName, [["msft-namespace", true], ["abc", true], ["a1-2", true], ["ab", false], ["", false], ["-abc", false], ["abc-", false], ["Abc", false], ["a_b", false], ["a b", false], ["a".repeat(64), true], ["a".repeat(65), false], ["äbc", false], ["a.b", false]]],
  ["policy", rules.policyName, [["abc", true], ["Abc-1", true], ["abc-", true], ["-abc", false], ["ab", false], ["a".repeat(50), true], ["a".repeat(51), false], ["a_b", false]]],
  ["group", rules.groupName, [["plant", true], ["Ünit_(1).a", true], ["p", true], ["a.", false], ["", false], ["a b", false], ["a".repeat(90), true], ["a".repeat(91), false], ["a/b", false], ["…", false]]],
  ["identity", rules.identityName, [["a-b_c", true], ["_ab", false], ["ab", false], ["a".repeat(128), true], ["a".repeat(129), false]]],
  ["hub", rules.hubName, [["Hub-1", true], ["-hub", false], ["hub-", false], ["hu", false], ["h".repeat(51), false]]],
  ["enrollment", rules.enrollmentName, [["a.b:c_d-", true], ["a.", false], ["", false], ["x".repeat(129), false]]],
  ["CA certificate", rules.caCertificateName, [["a.b-C_1", true], ["", false], ["a".repeat(64), true], ["a".repeat(65), false], ["a b", false], ["a:b", false]]],
  ["provisioning service", rules.provisioningName, [["dps-1", true], ["-dps", false], ["d".repeat(64), true], ["d".repeat(65), false]]],
  ["device", rules.deviceId, [["Pump:0042", true], ["a.b_c-d@$'%*?!(),:=", true], ["x".repeat(128), true], ["x".repeat(129), false], ["", false], ["a b", false], ["a/b", false], ["ä", false], ["a#b", false]]],
];

test.each(NAMES)("names of a %s", (_, rule, cases) => {
  for (const [name, good] of cases) expect([name, rule(name) === undefined]).toEqual([name, good]);
});

test("the sentence is the server's", () => {
  expect(rules.namespaceName("Bad_")).toBe("3 to 64 characters, lower-case letters, digits and inner '-'.");
  expect(rules.groupName("a b")).toBe("1 to 90 characters, letters, digits, '-', '_', '(', ')' and '.', not ending in '.'.");
});

test("keys are base64 of 16 to 64 bytes", () => {
  const key = (bytes: number) => btoa("x".repeat(bytes));
  for (const good of [key(16), key(17), key(32), key(64)]) expect(rules.symmetricKey("primaryKey", good)).toBeUndefined();
  for (const bad of ["", key(15), key(65), "x", key(16).slice(0, -1), key(18).replace(/.$/, "-"), ` ${key(18)}`]) {
    expect(rules.symmetricKey("primaryKey", bad)).toBe("primaryKey is not a key: give the standard base64 of 16 to 64 bytes.");
  }
});

test.each([["1", true], ["30", true], ["3650", true], ["0", false], ["3651", false], ["-1", false], ["1.5", false], ["1e3", false], ["", false], ["x", false]])("%s days", (text, good) => {
  expect(rules.validityDays(text as string) === undefined).toBe(good);
});

test("tags: names, lengths, doubles without case, number", () => {
  const faults = rules.tagFaults([
    { name: "a", value: "1" },
    { name: "A", value: "2" },
    { name: "b<", value: "" },
    { name: "", value: "x" },
    { name: "c", value: "v".repeat(257) },
    { name: "", value: "" },
  ]);
  expect([...faults.keys()]).toEqual([1, 2, 3, 4]);
  const many = Array.from({ length: 51 }, (_, at) => ({ name: `t${at}`, value: "" }));
  expect([...rules.tagFaults(many).keys()]).toEqual([50]);
  expect(rules.tagMap([{ name: "a", value: "" }, { name: "", value: "" }])).toEqual({ a: "" });
});
