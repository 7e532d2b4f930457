/** Access tokens and the refresh token: in memory, and nowhere else. */

import { Fault } from "../api/fault";
import { postForm, type Audience, type Tokens } from "../api/http";
import { CLIENT_ID, scopeOf, TOKEN } from "./settings";

export interface Grant {
  access_token: string;
  /** Seconds. */
  expires_in: number;
  refresh_token?: string;
  id_token?: string;
}

interface Held {
  token: string;
  /** Milliseconds since 1970 from which it is renewed: four fifths of its life. */
  renewAt: number;
}

const RENEW_AT = 0.8;

/** Tokens of one sign-in. `again` is called when it has ended, and leads to another one. */
export class TokenStore implements Tokens {
  private readonly held = new Map<Audience, Held>();
  private refreshToken: string | undefined;
  /** Requests to the token service, one behind the other: each use of the refresh token ends it and brings another. */
  private turn: Promise<unknown> = Promise.resolve();
  private readonly again: () => Promise<never>;
  private readonly now: () => number;

  constructor(again: () => Promise<never>, now: () => number = () => performance.now()) {
    this.again = again;
    this.now = now;
  }

  /** Takes over what a sign-in or a renewal brought. */
  take(audience: Audience, grant: Grant): void {
    this.held.set(audience, { token: grant.access_token, renewAt: this.now() + grant.expires_in * 1000 * RENEW_AT });
    if (grant.refresh_token) this.refreshToken = grant.refresh_token;
  }

  forget(): void {
    this.held.clear();
    this.refreshToken = undefined;
  }

  async bearer(audience: Audience, renewed = false): Promise<string> {
    const before = this.held.get(audience);
    if (!renewed && before && this.now() < before.renewAt) return before.token;
    const mine = this.turn.then(async () => {
      // Whoever was before in the queue may have brought it.
      const held = this.held.get(audience);
      const fresh = held && this.now() < held.renewAt;
      if (fresh && (!renewed || held.token !== before?.token)) return held.token;
      return this.renew(audience);
    });
    this.turn = mine.catch(() => undefined);
    return mine;
  }

  private async renew(audience: Audience): Promise<string> {
    if (!this.refreshToken) return this.again();
    try {
      const grant = await postForm<Grant>(TOKEN, {
        client_id: CLIENT_ID,
        grant_type: "refresh_token",
        refresh_token: this.refreshToken,
        scope: scopeOf(audience),
      });
      this.take(audience, grant);
      return grant.access_token;
    } catch (thrown) {
      const ended = thrown instanceof Fault && (thrown.code === "invalid_grant" || thrown.code === "interaction_required");
      if (!ended) throw thrown;
      this.forget();
      return this.again();
    }
  }
}
