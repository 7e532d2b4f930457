import { FluentProvider, Spinner } from "@fluentui/react-components";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode, type ComponentType, type ReactNode } from "react";
import { createRoot } from "react-dom/client";
import { createBrowserRouter, RouterProvider } from "react-router";
import { AccountContext } from "./auth/account";
import { keepOnlyOf } from "./auth/kept";
import { signIn, SIGNED_OUT } from "./auth/signIn";
import { SignedOut, SignInFailed } from "./auth/Screens";
import { SCREENS, type Screen } from "./screens/screens";
import { NotFound } from "./shell/NotFound";
import { Broken } from "./shell/Broken";
import Shell from "./shell/Shell";
import { useTheme } from "./shell/theme";
import { deployments } from "./shell/useDeployments";
import { t } from "./texts";

// A failed reading is shown with a button; nothing is tried again behind one's back.
const client = new QueryClient({ defaultOptions: { queries: { retry: false, refetchOnWindowFocus: false, staleTime: 2_000 } } });

/** A screen, or what says that its file did not arrive. The router would show neither: it takes a route whose `lazy` failed for one that
 * is still to come. */
async function componentOf(load: Screen["load"]): Promise<ComponentType> {
  try {
    return (await load()).default;
  } catch (fault) {
    return () => <Broken fault={fault} />;
  }
}

function router() {
  return createBrowserRouter(
    [
      {
        path: "/",
        element: <Shell />,
        errorElement: <Broken />,
        HydrateFallback: () => null,
        children: [
          ...SCREENS.map((screen) => ({
            path: screen.path,
            errorElement: <Broken />,
            lazy: async () => ({ Component: await componentOf(screen.load) }),
          })),
          { path: "*", element: <NotFound /> },
        ],
      },
    ],
    { basename: "/portal" },
  );
}

function Themed({ children }: { children: ReactNode }) {
  const { theme } = useTheme();
  return <FluentProvider theme={theme}>{children}</FluentProvider>;
}

async function start(): Promise<void> {
  const element = document.getElementById("root");
  if (!element) return;
  const root = createRoot(element);
  const show = (what: ReactNode) =>
    root.render(
      <StrictMode>
        <Themed>{what}</Themed>
      </StrictMode>,
    );
  if (location.pathname === SIGNED_OUT) return show(<SignedOut />);
  show(<Spinner label={t.signIn.going} />);
  const outcome = await signIn();
  if (outcome.kind === "leaving") return;
  if (outcome.kind === "failed") return show(<SignInFailed fault={outcome.fault} />);
  history.replaceState(null, "", "/portal" + outcome.wanted);
  // Before anything is read of it: steps of another would be sent with the rights of this one.
  keepOnlyOf(outcome.account.objectId);
  deployments.restore();
  show(
    <AccountContext value={outcome.account}>
      <QueryClientProvider client={client}>
        <RouterProvider router={router()} />
      </QueryClientProvider>
    </AccountContext>,
  );
}

void start();
