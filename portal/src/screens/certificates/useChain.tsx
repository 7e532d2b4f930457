/** Certificates as files. */

import { MessageBar, MessageBarBody } from "@fluentui/react-components";
import { useState, type ReactNode } from "react";
import { read } from "../../api/arm";
import { download } from "../../csv";
import { Failure } from "../../frames/Failure";
import { t } from "../../texts";

const PEM = "application/x-pem-file";

interface Answer {
  certificateChain?: string;
  properties?: { certificateChain?: string };
}

/** Saves the certificates that the server has at an id, and what there is to say where it has none. */
export function useChain(): { save: (id: string, file: string) => void; note: ReactNode } {
  const [note, setNote] = useState<ReactNode>(null);
  const save = (id: string, file: string) => {
    setNote(null);
    read<Answer>(id).then(
      (answer) => {
        const text = answer.certificateChain ?? answer.properties?.certificateChain;
        if (text) download(`${file}.pem`, text, PEM);
        else
          setNote(
            <MessageBar intent="info">
              <MessageBarBody>{t.issued.notKept}</MessageBarBody>
            </MessageBar>,
          );
      },
      (fault: unknown) => setNote(<Failure fault={fault} retry={() => save(id, file)} />),
    );
  };
  return { save, note };
}
