/** What is around every page: top bar, banner, notifications, shortcuts, what is said to those who hear the page. */

import {
  Button,
  Link,
  makeStaticStyles,
  makeStyles,
  MessageBar,
  MessageBarBody,
  Spinner,
  tokens,
} from "@fluentui/react-components";
import { NavigationRegular, PersonCircleRegular, QuestionCircleRegular, SettingsRegular } from "@fluentui/react-icons";
import { useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useEffect, useMemo, useRef, useState, type ComponentType } from "react";
import { Outlet, useLocation, useNavigate, useNavigation } from "react-router";
import { onReach, servedVersion } from "../api/http";
import { useAccount } from "../auth/account";
import { AppLink } from "../frames/AppLink";
import { forgetForm } from "../frames/form";
import { whenIdle } from "../frames/later";
import { timeOf } from "../frames/Loaded";
import { t } from "../texts";
import { announce, useRegion } from "./announce";
import { standing } from "./deployments";
import { Bell, resultOf } from "./Bell";
import type { Open } from "./Panes";
import { Search } from "./Search";
import { useShortcuts } from "./shortcuts";
import { deployments } from "./useDeployments";

const useStaticStyles = makeStaticStyles({ body: { margin: 0 } });

const useStyles = makeStyles({
  root: { minHeight: "100vh", backgroundColor: tokens.colorNeutralBackground1, color: tokens.colorNeutralForeground1 },
  bar: {
    position: "sticky",
    top: 0,
    zIndex: 500,
    display: "flex",
    flexWrap: "wrap",
    alignItems: "center",
    gap: "8px",
    padding: "6px 12px",
    backgroundColor: tokens.colorNeutralBackground3,
    borderBottom: `1px solid ${tokens.colorNeutralStroke1}`,
  },
  product: { fontWeight: 600, fontSize: tokens.fontSizeBase400, marginRight: "12px" },
  // What is left of the bar lies before the buttons, which stand at its end.
  rest: { marginLeft: "auto" },
  skip: { position: "absolute", left: "-9999px", ":focus": { left: "8px", top: "8px", zIndex: 2000, backgroundColor: tokens.colorNeutralBackground1, padding: "8px" } },
  hidden: { position: "absolute", width: "1px", height: "1px", overflow: "hidden", clipPath: "inset(50%)" },
});

const Panes = lazy(() => import("./Panes"));
// Without them everything is still said, in the bell and to those who hear the page.
const Toasts = lazy<ComponentType>(() => import("./Toasts").catch(() => ({ default: () => null })));
/** Milliseconds between two looks at whether the server has another version of the page. */
const VERSION_MS = 300_000;


export default function Shell() {
  useStaticStyles();
  const styles = useStyles();
  const navigate = useNavigate();
  const moving = useNavigation().state === "loading";
  const search = useRef<HTMLInputElement>(null);
  const [open, setOpen] = useState<Open>("none");
  const account = useAccount();
  // The panes are not part of the first load; once there, they stay, so that they can close.
  const [opened, setOpened] = useState(false);
  useEffect(() => setOpened((before) => before || open !== "none"), [open]);
  const [idle, setIdle] = useState(false);
  useEffect(() => whenIdle(() => setIdle(true)), []);
  const { pathname } = useLocation();
  useEffect(() => setOpen("none"), [pathname]);
  useDeploymentNews();
  useNewVersion();
  const keys = useMemo(
    () => ({
      "n": () => void navigate("/create"),
      "/": () => search.current?.focus(),
      "b": () => setOpen("services"),
      "r": () => void navigate("/groups"),
      "a": () => void navigate("/resources"),
      "d": () => void navigate("/"),
      ",": () => focusIn("[data-command-bar]"),
      ".": () => focusIn("header"),
    }),
    [navigate],
  );
  useShortcuts(keys);
  const openBell = () => {
    deployments.markSeen();
    setOpen("bell");
  };
  return (
    <div className={styles.root}>
      <Link className={styles.skip} href="#main" onClick={(event) => (event.preventDefault(), document.querySelector<HTMLElement>("h1")?.focus())}>
        {t.shell.skip}
      </Link>
      <header className={styles.bar}>
        <Button appearance="subtle" icon={<NavigationRegular />} aria-label={t.shell.allServices} onClick={() => setOpen("services")} />
        <AppLink to="/" className={styles.product}>
          {t.product}
        </AppLink>
        <Search input={search} />
        <span className={styles.rest} />
        <Bell onOpen={openBell} />
        <Button appearance="subtle" icon={<SettingsRegular />} aria-label={t.shell.settings} onClick={() => setOpen("settings")} />
        <Button appearance="subtle" icon={<QuestionCircleRegular />} aria-label={t.help.title} onClick={() => setOpen("help")} />
        <Button appearance="subtle" icon={<PersonCircleRegular />} aria-label={t.shell.account(account.name)} onClick={() => setOpen("account")} />
      </header>
      <AwayBanner />
      <main id="main" aria-busy={moving}>
        <Suspense fallback={<Spinner label={t.common.loading} />}>
          <Outlet />
        </Suspense>
      </main>
      <div ref={useRegion} className={styles.hidden} aria-live="polite" role="status" />
      <Suspense fallback={null}>
        {idle && <Toasts />}
        {opened && <Panes open={open} onClose={() => setOpen("none")} />}
      </Suspense>
    </div>
  );
}

function focusIn(selector: string): void {
  document.querySelector<HTMLElement>(`${selector} button, ${selector} a[href]`)?.focus();
}

/** Says since when the server does not answer; forms keep their values. */
function AwayBanner() {
  const [since, setSince] = useState<number | undefined>(undefined);
  const client = useQueryClient();
  useEffect(
    () =>
      onReach((reached) => {
        setSince((before) => {
          if (!reached) return before ?? new Date().getTime();
          if (before !== undefined) void client.invalidateQueries();
          return undefined;
        });
      }),
    [client],
  );
  if (since === undefined) return null;
  return (
    <MessageBar intent="warning">
      <MessageBarBody>{t.shell.away(timeOf(since))}</MessageBarBody>
    </MessageBar>
  );
}

/** Says when a deployment begins and ends; what is on the page is read again then. */
function useDeploymentNews(): void {
  const client = useQueryClient();
  useEffect(
    () =>
      deployments.onTold((deployment, what) => {
        announce(`${deployment.title}: ${what === "ended" ? resultOf(deployment) : t.bell.started}`);
        if (what !== "ended") return;
        if (deployment.form && standing(deployment) === "done") forgetForm(deployment.form.id);
        void client.invalidateQueries();
      }),
    [client],
  );
}

/** Loads the page anew, once, when the server has another version of it: the files of this one are gone there. */
function useNewVersion(): void {
  const { pathname } = useLocation();
  const first = useRef<string | undefined>(undefined);
  const looked = useRef(0);
  useEffect(() => {
    const now = performance.now();
    if (looked.current > 0 && now - looked.current < VERSION_MS) return;
    looked.current = now;
    void servedVersion().then((version) => {
      first.current ??= version;
      if (version !== undefined && version !== first.current) location.reload();
    });
  }, [pathname]);
}
