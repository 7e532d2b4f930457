/** Numbers that a hub tells about itself. */

import { useQuery } from "@tanstack/react-query";
import { read } from "../../api/arm";
import { countConnected } from "../../api/hubData";

interface Quota {
  name: string;
  currentValue: number;
}

/** Messages since midnight (UTC) and devices, asked again every `every` milliseconds where given. */
export function useQuotas(id: string, every?: number) {
  return useQuery({
    queryKey: ["hub-quotas", id.toLowerCase()],
    queryFn: async ({ signal }) => {
      const body = await read<{ value: Quota[] }>(`${id}/quotaMetrics`, undefined, signal);
      const of = (name: string) => body.value.find((quota) => quota.name === name)?.currentValue;
      return { messages: of("TotalMessages"), devices: of("TotalDeviceCount") };
    },
    ...again(every),
  });
}

/** Devices that are connected now. */
export function useConnected(host: string, every?: number) {
  return useQuery({ queryKey: ["hub-connected", host], queryFn: ({ signal }) => countConnected(host, signal), enabled: host !== "", ...again(every) });
}

/** Asked again every `every` milliseconds, as long as it is answered: a refusal is shown and waits for somebody. */
export function again(every: number | undefined) {
  return every ? { refetchInterval: (query: { state: { status: string } }) => (query.state.status === "error" ? (false as const) : every) } : {};
}
