import { makeStyles, Text, tokens } from "@fluentui/react-components";

const useStyles = makeStyles({
  list: { display: "grid", gridTemplateColumns: "minmax(120px, max-content) minmax(160px, 1fr) max-content", gap: "4px 12px", alignItems: "center", maxWidth: "900px", margin: "12px 0", padding: 0 },
  label: { overflowWrap: "anywhere", maxWidth: "420px" },
  bar: { fill: tokens.colorBrandBackground, "@media (forced-colors: active)": { fill: "CanvasText" } },
  svg: { width: "100%", height: "18px", display: "block" },
  line: { width: "100%", height: "120px", display: "block", backgroundColor: tokens.colorNeutralBackground2 },
  path: { stroke: tokens.colorBrandForeground1, fill: "none", strokeWidth: "2px", "@media (forced-colors: active)": { stroke: "CanvasText" } },
});

/** Numbers as bars; those who hear the page get a table. */
export function Bars({ bars, label }: { bars: { label: string; value: number }[]; label: string }) {
  const styles = useStyles();
  const most = Math.max(1, ...bars.map((bar) => bar.value));
  return (
    <div role="table" aria-label={label} className={styles.list}>
      {bars.map((bar) => (
        <div role="row" key={bar.label} style={{ display: "contents" }}>
          <Text role="cell" size={200} className={styles.label}>
            {bar.label || "–"}
          </Text>
          <span role="presentation">
            <svg className={styles.svg} viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden>
              <rect className={styles.bar} x="0" y="0" width={Math.max(0.4, (100 * bar.value) / most)} height="10" />
            </svg>
          </span>
          <Text role="cell" size={200}>
            {bar.value.toLocaleString()}
          </Text>
        </div>
      ))}
    </div>
  );
}

/** A number over time, from the first sample at the left to the last at the right. */
export function Line({ samples, label }: { samples: number[]; label: string }) {
  const styles = useStyles();
  const most = Math.max(1, ...samples);
  const step = 100 / Math.max(1, samples.length - 1);
  const points = samples.map((value, at) => `${(at * step).toFixed(2)},${(95 - (90 * value) / most).toFixed(2)}`).join(" ");
  return (
    <svg className={styles.line} viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label={label}>
      <polyline className={styles.path} points={points} vectorEffect="non-scaling-stroke" />
    </svg>
  );
}
