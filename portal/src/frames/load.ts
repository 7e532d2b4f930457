import { useQuery, type UseQueryResult } from "@tanstack/react-query";
import { readAll, type Whole } from "../api/pager";
import { armPath, read, type Resource } from "../api/arm";
import { groups, locations, subscriptions, type Subscription } from "../api/arm";

/** A resource by id; shared by every part of a page that shows it. */
export function useResource(id: string | undefined): UseQueryResult<Resource> {
  return useQuery({ queryKey: ["arm", id?.toLowerCase()], queryFn: ({ signal }) => read(id ?? "", undefined, signal), enabled: id !== undefined });
}

/** A list below an id, as far as it is read, such as `{hub}/certificates`. */
export function useResources(id: string | undefined, version?: string): UseQueryResult<Whole<Resource>> {
  return useQuery({
    queryKey: ["arm-list", id?.toLowerCase(), version],
    queryFn: ({ signal }) => readAll<Resource>(armPath(id ?? "", version), "arm", signal),
    enabled: id !== undefined,
  });
}

/** The subscription that a resource lies in. */
export const useSubscription = (subscription: string | undefined): Subscription | undefined => useSubscriptions().data?.rows.find((each) => each.subscriptionId === subscription);

export const useSubscriptions = () => useQuery({ queryKey: ["subscriptions"], queryFn: () => subscriptions(), staleTime: 60_000 });

export const useGroups = (subscription: string | undefined) =>
  useQuery({ queryKey: ["groups", subscription], queryFn: () => groups(subscription ?? ""), enabled: !!subscription });

export const useLocations = (subscription: string | undefined) =>
  useQuery({ queryKey: ["locations", subscription], queryFn: () => locations(subscription ?? ""), enabled: !!subscription, staleTime: 3_600_000 });
