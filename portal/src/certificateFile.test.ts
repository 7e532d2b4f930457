import { expect, test } from "vitest";
import { certificateFault, pem, PRIVATE_KEY_TEXT, readCertificate } from "./certificateFile";

/** CN=Line 3 CA, O=Plant <b>, C=SE; CA:TRUE; 2026-11-29 to 2126-11-05. */
const CA =
  "MIIBwTCCAWegAwIBAgIUX3Tt1R/qjf5iEQc29hT2q21V6sEwCgYIKoZIzj0EAwIwNTELMAkGA1UEBhMCU0UxEjAQBgNVBAoMCVBsYW50IDxiPjESMBAGA1UEAwwJTGluZSAzIENBMCAXDTI2MTEyOTA0NTYyMloYDzIxMjYxMTA1MDQ1NjIyWjA1MQswCQYDVQQGEwJTRTESMBAGA1UECgwJUGxhbnQgPGI+MRIwEAYDVQQDDAlMaW5lIDMgQ0EwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAS8vzVTEDbec0SEVZhy7VTNxUwKGxh866zlpjwxnoExzhTCtdLBwr0Sd33VvI3Xuj5/VLGx6fWMm/BeYwVpACTeo1MwUTAdBgNVHQ4EFgQU6+GHekSjuAEcg71LbbZavxNxua0wHwYDVR0jBBgwFoAU6+GHekSjuAEcg71LbbZavxNxua0wDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiAhOJSj7Zm9Ali/I0gXneefwJ8RfrAgIbvZZGipaJw0BwIhAM8SzpVyNbElsZnjPSzmBZligZES3OJV27BxY/91W+h6";
/** CN=pump, CA:FALSE. */
const LEAF =
  "MIIBcDCCARWgAwIBAgIUUaIIO8aI7PVSaBjn6s/S06QSY44wCgYIKoZIzj0EAwIwDzENMAsGA1UEAwwEcHVtcDAgFw0yNjExMjkwNDU2MjJaGA8yMTI2MTEwNTA0NTYyMlowDzENMAsGA1UEAwwEcHVtcDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABLy/NVMQNt5zRIRVmHLtVM3FTAobGHzrrOWmPDGegTHOFMK10sHCvRJ3fdW8jde6Pn9UsbHp9Yyb8F5jBWkAJN6jTTBLMB0GA1UdDgQWBBTr4Yd6RKO4ARyDvUtttlq/E3G5rTAfBgNVHSMEGDAWgBTr4Yd6RKO4ARyDvUtttlq/E3G5rTAJBgNVHRMEAjAAMAoGCCqGSM49BAMCA0kAMEYCIQC9lnAlOXjq5tZeglUCR8gppor4iD/+Sf9Qg/rveQD9FQIhAMq0stEBwWizOm36Tj0GNoM8mOjQNNAaYd58zL13y/I5";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const der = (base64: string): Uint8Array => Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
const NOW = new Date("2027-01-01T00:00:00Z");

test.each([
  ["PEM", bytes(pem(CA))],
  ["PEM with a text before it", bytes("subject=x\n" + pem(CA).replace(/\n/g, "\r\n"))],
  ["base64", bytes(CA)],
  ["DER", der(CA)],
])("a certificate as %s", (_, file) => {
  const found = readCertificate(file);
  expect(found).toMatchObject({ base64: CA, subject: "C=SE,O=Plant <b>,CN=Line 3 CA", issuer: "C=SE,O=Plant <b>,CN=Line 3 CA", isCa: true, serial: "5F74EDD51FEA8DFE62110736F614F6AB6D55EAC1" });
  expect(found.notBefore.toISOString()).toBe("2026-11-29T04:56:22.000Z");
  expect(found.notAfter.toISOString()).toBe("2126-11-05T04:56:22.000Z");
});

test("what it is good for", () => {
  const ca = readCertificate(der(CA));
  const leaf = readCertificate(der(LEAF));
  expect(certificateFault(ca, true, NOW)).toBeUndefined();
  expect(certificateFault(leaf, false, NOW)).toBeUndefined();
  expect(certificateFault(leaf, true, NOW)).toContain("is no certificate authority");
  expect(certificateFault(ca, true, new Date("2200-01-01"))).toContain("has expired on 2126-11-05");
  expect(certificateFault(ca, true, new Date("2020-01-01"))).toContain("is not valid before 2026-11-29");
});

test.each([
  ["a private key as PEM", bytes("-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"), PRIVATE_KEY_TEXT],
  ["a key beside the certificate", bytes(pem(CA) + "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), PRIVATE_KEY_TEXT],
  ["an encrypted key", bytes("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"), PRIVATE_KEY_TEXT],
  ["a private key as DER", Uint8Array.from([0x30, 6, 2, 1, 0, 2, 1, 5]), PRIVATE_KEY_TEXT],
  ["two certificates", bytes(pem(CA) + pem(LEAF)), "has 2 certificates"],
  ["nothing", bytes(""), "is no certificate"],
  ["a picture", Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0xff, 0, 0x80]), "is no certificate"],
  ["half of one", der(CA).slice(0, 100), "is no certificate"],
  ["one with a tail", Uint8Array.from([...der(CA), 0]), "is no certificate"],
  ["a megabyte", bytes("A".repeat(1_000_000)), "at most 8192 are accepted"],
])("%s is refused", (_, file, sentence) => {
  expect(() => readCertificate(file)).toThrow(sentence);
});
