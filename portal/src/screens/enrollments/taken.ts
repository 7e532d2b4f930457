import { useQuery } from "@tanstack/react-query";
import { Fault } from "../../api/fault";
import { readEnrollment, type Kind } from "../../api/provisioningData";
import { useRested } from "../../frames/checks";
import { enrollmentName } from "../../rules";

/** Is there an enrollment of this name? Not asked for a name that is none. */
export function useEnrollmentTaken(host: string, kind: Kind, name: string): { taken: boolean; checking: boolean } {
  const rested = useRested(name);
  const enabled = host !== "" && !enrollmentName(rested);
  const found = useQuery({
    queryKey: ["enrollment-taken", host, kind, rested.toLowerCase()],
    queryFn: async ({ signal }) => {
      try {
        await readEnrollment(host, kind, rested, signal);
        return true;
      } catch (thrown) {
        if (thrown instanceof Fault && thrown.status === 404) return false;
        throw thrown;
      }
    },
    enabled,
    staleTime: 5_000,
    // Who may not read may still create: the server refuses a name that is taken.
    retry: false,
  });
  const current = name === rested;
  return { taken: current && enabled && found.data === true, checking: !enrollmentName(name) && (!current || found.isFetching) };
}
