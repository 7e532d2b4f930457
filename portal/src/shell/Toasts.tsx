/** Toasts when a deployment begins and ends. */

import { Toast, ToastBody, Toaster, ToastTitle, useToastController } from "@fluentui/react-components";
import { useEffect } from "react";
import { AppLink } from "../frames/AppLink";
import { t } from "../texts";
import { onwards, resultOf } from "./Bell";
import { standing } from "./deployments";
import { deployments } from "./useDeployments";

const TOASTER = "ferrohub-toaster";

export default function Toasts() {
  const { dispatchToast } = useToastController(TOASTER);
  useEffect(
    () =>
      deployments.onTold((deployment, what) => {
        const ended = what === "ended";
        const state = standing(deployment);
        dispatchToast(
          <Toast>
            <ToastTitle>{deployment.title}</ToastTitle>
            <ToastBody>
              {ended ? resultOf(deployment) : t.bell.started}{" "}
              {ended && deployment.target && state === "done" && <AppLink to={deployment.target}>{onwards(deployment)}</AppLink>}
            </ToastBody>
          </Toast>,
          { intent: !ended ? "info" : state === "done" ? "success" : "error", timeout: ended ? 8000 : 3000 },
        );
      }),
    [dispatchToast],
  );
  return <Toaster toasterId={TOASTER} position="top-end" />;
}
