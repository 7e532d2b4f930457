import { expect, test } from "vitest";
import { concerned, missing, type Standing } from "./facts";

const standing = (policy: string, hub: string, state: Standing["state"]): Standing => ({ hub, hubResourceId: `/${hub}`, policy, policyResourceId: `/${policy}`, thumbprint: "", state });
const ALL = [standing("default", "b", "Pending"), standing("default", "a", "Synchronized"), standing("line", "a", "Failed")];

test("which hubs a synchronization concerns, and what each gets", () => {
  expect(concerned(ALL, undefined)).toEqual([{ hub: "a", gets: ["line"] }, { hub: "b", gets: ["default"] }]);
  expect(concerned(ALL, ["DEFAULT"])).toEqual([{ hub: "a", gets: [] }, { hub: "b", gets: ["default"] }]);
  expect(concerned([], undefined)).toEqual([]);
  expect(missing(ALL)).toHaveLength(2);
});
