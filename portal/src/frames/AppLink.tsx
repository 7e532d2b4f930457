import { Link } from "@fluentui/react-components";
import type { MouseEvent, ReactNode } from "react";
import { useHref, useLinkClickHandler } from "react-router";

/** A link to a page of the portal: one tab stop, and a real address for "open in a new tab". */
export function AppLink({ to, children, className, onFollowed }: { to: string; children: ReactNode; className?: string; onFollowed?: () => void }) {
  const href = useHref(to);
  const follow = useLinkClickHandler<HTMLAnchorElement>(to);
  const onClick = (event: MouseEvent<HTMLAnchorElement>) => {
    follow(event);
    if (event.defaultPrevented) onFollowed?.();
  };
  return (
    <Link href={href} onClick={onClick} {...(className ? { className } : {})}>
      {children}
    </Link>
  );
}
