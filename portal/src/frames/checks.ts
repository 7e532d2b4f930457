/** Checks that ask the server while one types. */

import { useQuery, type UseQueryResult } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { exists } from "../api/arm";

/** Milliseconds for which a text must rest before the server is asked. */
export const REST_MS = 300;

/** `value` after it rested. */
export function useRested<T>(value: T): T {
  const [rested, setRested] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setRested(value), REST_MS);
    return () => clearTimeout(timer);
  }, [value]);
  return rested;
}

/** Is there something at this id? Not asked without one. */
export function useExists(id: string | undefined): UseQueryResult<boolean> {
  return useQuery({
    queryKey: ["exists", id?.toLowerCase()],
    queryFn: ({ signal }) => exists(id ?? "", signal),
    enabled: id !== undefined,
    staleTime: 5_000,
    // A missing right to look is no reason to keep anyone from creating.
    retry: false,
  });
}

/** Is there a resource with this id already? Not asked without one. */
export function useTaken(id: string | undefined): { taken: boolean; checking: boolean } {
  const rested = useRested(id);
  const found = useExists(rested);
  const current = id !== undefined && id === rested;
  return { taken: current && found.data === true, checking: id !== undefined && (!current || found.isFetching) };
}
