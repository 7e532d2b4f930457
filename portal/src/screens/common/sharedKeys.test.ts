import { expect, test } from "vitest";
import { changedKeys, connectionString, mayLink, type KeyPolicy } from "./sharedKeys";

const A: KeyPolicy = { keyName: "iothubowner", primaryKey: "p", secondaryKey: "s", rights: "RegistryRead, RegistryWrite, ServiceConnect, DeviceConnect" };
const B: KeyPolicy = { keyName: "device", primaryKey: "x", secondaryKey: "y", rights: "DeviceConnect" };

test("only the key that stays is sent; other policies are sent without keys", () => {
  const b = { keyName: "device", rights: "DeviceConnect" };
  expect(changedKeys([A, B], "iothubowner", "primary")).toEqual([{ keyName: A.keyName, rights: A.rights, secondaryKey: "s" }, b]);
  expect(changedKeys([A, B], "iothubowner", "secondary")).toEqual([{ keyName: A.keyName, rights: A.rights, primaryKey: "p" }, b]);
  expect(changedKeys([A, B], "iothubowner", "swap")).toEqual([{ keyName: A.keyName, rights: A.rights, primaryKey: "s", secondaryKey: "p" }, b]);
});

test("a policy that is not among those that were read is refused: nothing would be changed, and told as done", () => {
  expect(() => changedKeys([], "iothubowner", "primary")).toThrow("'iothubowner' are not at hand");
  expect(() => changedKeys([B], "iothubowner", "swap")).toThrow("'iothubowner' are not at hand");
});

test("connection strings, and who may link", () => {
  expect(connectionString("h.example", A, "secondaryKey")).toBe("HostName=h.example;SharedAccessKeyName=iothubowner;SharedAccessKey=s");
  expect(mayLink(A)).toBe(true);
  expect(mayLink(B)).toBe(false);
});
