/** Is a name free that must be unique over everything? */

import { useQuery } from "@tanstack/react-query";
import { armPath } from "../../api/arm";
import { send } from "../../api/http";
import { API } from "../../api/versions";
import { useRested } from "../../frames/checks";

interface Answer {
  nameAvailable: boolean;
  message?: string | null;
}

/** Asks `action` of Microsoft.Devices about `name`, once it rested; not without a subscription or a name. */
export function useNameFree(subscription: string, action: string, name: string | undefined): { free: boolean; fault: string | undefined; checking: boolean } {
  const rested = useRested(name);
  const enabled = subscription !== "" && !!rested;
  const found = useQuery({
    queryKey: ["name-free", subscription, action, rested?.toLowerCase()],
    queryFn: async ({ signal }) => {
      const path = armPath(`/subscriptions/${subscription}/providers/Microsoft.Devices/${action}`, API.hubs);
      return (await send<Answer>({ method: "POST", path, audience: "arm", body: { name: rested }, signal })).body;
    },
    enabled,
    staleTime: 5_000,
  });
  const current = !!name && name === rested && enabled;
  return {
    free: current && found.data?.nameAvailable === true,
    fault: current && found.data && !found.data.nameAvailable ? (found.data.message ?? "") : undefined,
    checking: !!name && subscription !== "" && (!current || found.isFetching),
  };
}
