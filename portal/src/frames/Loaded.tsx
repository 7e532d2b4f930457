import { Skeleton, SkeletonItem } from "@fluentui/react-components";
import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { t } from "../texts";
import { Failure } from "./Failure";

/** What was read, or that it is being read, or why it could not be; a failed refresh leaves what is there and says how old it is. */
export function Loaded<T>({ of, children }: { of: UseQueryResult<T>; children: (data: T) => ReactNode }) {
  const retry = () => void of.refetch();
  if (of.data !== undefined) {
    return (
      <>
        {of.error && (
          <>
            <Failure fault={of.error} retry={retry} />
            <p>{t.failure.old(timeOf(of.dataUpdatedAt))}</p>
          </>
        )}
        {children(of.data)}
      </>
    );
  }
  if (of.error) return <Failure fault={of.error} retry={retry} />;
  return (
    <Skeleton aria-label={t.common.loading}>
      {[0, 1, 2, 3].map((at) => (
        <SkeletonItem key={at} style={{ margin: "8px 0" }} />
      ))}
    </Skeleton>
  );
}

/** Hour and minute of a time in milliseconds. */
export function timeOf(ms: number): string {
  return new Date(ms).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
}
