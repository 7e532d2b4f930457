/** Proof key for code exchange (RFC 7636), and the random texts of a sign-in. */

/** Bytes of a random text: 256 bits. */
const RANDOM_BYTES = 32;

/** Base64 for addresses, without padding. */
export function base64Url(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

/** A text that nobody guesses: 43 characters. */
export function randomText(): string {
  return base64Url(crypto.getRandomValues(new Uint8Array(RANDOM_BYTES)));
}

/** The challenge (S256) of a verifier. */
export async function challengeOf(verifier: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  return base64Url(new Uint8Array(hash));
}

/** The claims of a token that came from the server itself, over TLS and in answer to our own request: nothing to verify. */
export function claimsOf(token: string): Record<string, unknown> {
  const middle = (token.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/");
  const bytes = Uint8Array.from(atob(middle), (c) => c.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
}
