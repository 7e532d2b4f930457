/** Where lists of enrollments get their rows. */

import { Fault } from "../../api/fault";
import { queryEnrollments, readEnrollment, type Enrollment, type Kind } from "../../api/provisioningData";
import type { Source } from "../../frames/listSource";

/** The page after `after`; a filter is the whole name of one, which the service knows without a search. */
export function enrollmentSource(host: string, kind: Kind): Source<Enrollment> {
  return {
    key: ["enrollments", host, kind],
    kind: "continued",
    load: async (query, after, signal) => {
      const wanted = query.filter.trim();
      if (wanted !== "") {
        try {
          return { rows: [await readEnrollment(host, kind, wanted, signal)], total: 1, more: false };
        } catch (thrown) {
          if (thrown instanceof Fault && (thrown.status === 404 || thrown.status === 400)) return { rows: [], total: 0, more: false };
          throw thrown;
        }
      }
      const page = await queryEnrollments(host, kind, query.size, after, signal);
      return { rows: page.rows, total: undefined, more: page.next !== undefined, next: page.next };
    },
  };
}
