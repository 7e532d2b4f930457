/** Where lists of registrations get their rows. */

import { Fault } from "../../api/fault";
import { queryRegistrations, readRegistration, type Registration } from "../../api/provisioningData";
import type { Source } from "../../frames/listSource";

/** What registered: of a group page by page, of one by its id. A filter is a whole registration id.
 * @param group the enrollment group; without it only what is filtered for is shown
 * @param one the id whose registration is shown where nothing is filtered for */
export function registrationSource(host: string, group: string | undefined, one: string | undefined): Source<Registration> {
  return {
    key: ["registrations", host, group, one],
    kind: "continued",
    load: async (query, after, signal) => {
      const wanted = query.filter.trim() || one;
      if (wanted) {
        try {
          return { rows: [await readRegistration(host, wanted, signal)], total: 1, more: false };
        } catch (thrown) {
          if (thrown instanceof Fault && (thrown.status === 404 || thrown.status === 400)) return { rows: [], total: 0, more: false };
          throw thrown;
        }
      }
      if (!group) return { rows: [], total: 0, more: false };
      const page = await queryRegistrations(host, group, query.size, after, signal);
      return { rows: page.rows, total: undefined, more: page.next !== undefined, next: page.next };
    },
  };
}
