import { Breadcrumb, BreadcrumbDivider, BreadcrumbItem, makeStyles, tokens } from "@fluentui/react-components";
import { Fragment, useEffect, useRef, type ReactNode } from "react";
import { useLocation } from "react-router";
import { announce } from "../shell/announce";
import { t } from "../texts";
import { AppLink } from "./AppLink";

/** A page that this one lies below. */
export interface Crumb {
  label: string;
  to: string;
}

const useStyles = makeStyles({
  page: { padding: "8px 24px 48px", minWidth: 0 },
  second: { marginBottom: "8px" },
  title: {
    outlineStyle: "none",
    margin: "4px 0 8px",
    overflowWrap: "anywhere",
    fontSize: tokens.fontSizeBase500,
    lineHeight: tokens.lineHeightBase500,
    fontWeight: tokens.fontWeightSemibold,
  },
});

/** Whether somebody types: what comes late may not take the keystrokes. */
const typing = (): boolean => document.activeElement?.matches("input:not([type=checkbox], [type=radio]), textarea, [contenteditable]") ?? false;

/** A page: breadcrumb, title in the window and as heading. The heading takes the focus when one comes to the page, unless one has begun to type meanwhile. */
export function Page({ title, crumbs = [], children, second }: { title: string; crumbs?: Crumb[]; children: ReactNode; second?: string }) {
  const styles = useStyles();
  const heading = useRef<HTMLHeadingElement>(null);
  const { pathname } = useLocation();
  useEffect(() => {
    document.title = `${title} - ${t.product}`;
  }, [title]);
  useEffect(() => {
    if (!typing()) heading.current?.focus();
    announce(title);
    // The page is what changed, not its title: a name that is read later does not take the focus away.
  }, [pathname]);
  const trail = pathname === "/" ? [] : [{ label: t.home.title, to: "/" }, ...crumbs];
  return (
    <div className={styles.page}>
      <Breadcrumb size="small" aria-label={t.breadcrumb}>
        {trail.map((crumb) => (
          <Fragment key={crumb.to}>
            <BreadcrumbItem>
              <AppLink to={crumb.to}>{crumb.label}</AppLink>
            </BreadcrumbItem>
            <BreadcrumbDivider />
          </Fragment>
        ))}
        <BreadcrumbItem>{title}</BreadcrumbItem>
      </Breadcrumb>
      <h1 ref={heading} tabIndex={-1} className={styles.title}>
        {title}
      </h1>
      {second && <div className={styles.second}>{second}</div>}
      {children}
    </div>
  );
}
