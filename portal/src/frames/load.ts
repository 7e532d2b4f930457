import { useQuery, type UseQueryResult } from "@tanstack/react-query";
import { readAll } from "../api/pager";
import { armPath, read, type Resource } from "../api/arm";
import { groups, locations, ofType, subscriptions } from "../api/arm";

/** A resource by id; shared by every part of a page that shows it. */
export function useResource(id: string | undefined): UseQueryResult<Resource> {
  return useQuery({ queryKey: ["arm", id?.toLowerCase()], queryFn: ({ signal }) => read(id ?? "", undefined, signal), enabled: id !== undefined });
}

/** A whole list below an id, such as `{hub}/certificates`. */
export function useResources(id: string | undefined, version?: string): UseQueryResult<Resource[]> {
  return useQuery({
    queryKey: ["arm-list", id?.toLowerCase(), version],
    queryFn: async ({ signal }) => (await readAll<Resource>(armPath(id ?? "", version), "arm", signal)).rows,
    enabled: id !== undefined,
  });
}

export const useSubscriptions = () => useQuery({ queryKey: ["subscriptions"], queryFn: async () => (await subscriptions()).rows, staleTime: 60_000 });

export const useGroups = (subscription: string | undefined) =>
  useQuery({ queryKey: ["groups", subscription], queryFn: async () => (await groups(subscription ?? "")).rows, enabled: !!subscription });

export const useLocations = (subscription: string | undefined) =>
  useQuery({ queryKey: ["locations", subscription], queryFn: async () => (await locations(subscription ?? "")).rows, enabled: !!subscription, staleTime: 3_600_000 });

export const useOfType = (subscription: string | undefined, type: string) =>
  useQuery({ queryKey: ["of-type", subscription, type], queryFn: async () => (await ofType(subscription ?? "", type)).rows, enabled: !!subscription });
