import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { format, resolveConfig } from 'prettier'
import type { Metrics } from '../../shared/process/metrics.ts'
import { Releasers } from '../../shared/process/releasers.ts'
import { PROCESSES, startProcesses, type ProcessName } from './process-metrics.ts'

export const metricsFile = join(import.meta.dirname, '../metrics.md')

/** One metric, and the processes that expose it. */
interface Row {
  readonly kind: string
  readonly labels: readonly string[]
  readonly help: string
  readonly processes: Set<ProcessName>
}

/** Sections of the page, by the beginning of the name; the first that fits takes a metric. */
const SECTIONS = [
  ['sluice_broker_cluster_', 'Broker nodes of a cluster'],
  ['sluice_sessions_', 'Redis of the sessions'],
  ['sluice_broker_', 'Broker'],
  ['sluice_ingest_', 'Ingest worker'],
  ['sluice_http_', 'HTTP API'],
  ['sluice_jobs_', 'Jobs'],
  ['sluice_policy_', 'Policies'],
  ['sluice_contract_', 'Contracts'],
  ['sluice_ops_', 'Operations port'],
  ['sluice_stamps_', 'Receive stamps'],
  ['sluice_log_', 'Log'],
  ['sluice_kafka_', 'Log on Kafka'],
  ['sluice_points_', 'Point store'],
  ['sluice_influx_', 'Point store on InfluxDB'],
  ['sluice_registry_', 'Registry'],
  ['sluice_disk_', 'Disk'],
  ['sluice_cache_', 'Cache'],
  ['sluice_redis_', 'Requests to Redis'],
  ['sluice_rates_', 'Rates'],
  ['sluice_ready', 'Readiness'],
  ['sluice_build_', 'Build'],
] as const

/** docs/metrics.md as it must be, from what the processes register when they start. */
export async function metricsPage(): Promise<string> {
  const rows = await collectRows()
  const sections = SECTIONS.map(([prefix, title]) => {
    const names = [...rows.keys()].filter((name) => SECTIONS.find(([one]) => name.startsWith(one))?.[0] === prefix)
    return `## ${title}\n\n${table(names.sort(), rows)}`
  })
  const page = `# Metrics

Every process answers \`GET /metrics\` in the Prometheus text format: the one-process Sluice and the API on
\`HTTP_PORT\`, each process of a cluster on \`OPS_PORT\`. Who may read them is said in [security](../SECURITY.md#metrics). No metric has a label per device. Counters start at zero with the process. In addition to
these, each process exposes the usual metrics of Node.js and of the process (\`nodejs_*\`, \`process_*\`).

A dot marks the processes that expose a metric. A histogram \`name\` is exposed as \`name_bucket\`, \`name_sum\` and
\`name_count\`.

This page is written from the metrics that the processes register, by \`npm run docs:metrics\`; a test compares them.

${sections.join('\n\n')}
`
  return format(page, { ...(await resolveConfig(metricsFile)), parser: 'markdown' })
}

/** The names that docs/metrics.md gives for a process, from its text. */
export function documentedMetrics(page: string, process: ProcessName): string[] {
  const column = PROCESSES.indexOf(process) + 4
  const cells = page.split('\n').map((line) => line.split('|').map((cell) => cell.trim()))
  return cells.flatMap((row) =>
    row[1]?.startsWith('`sluice_') && row[column + 1] === '•' ? [row[1].slice(1, -1)] : [],
  )
}

async function collectRows(): Promise<Map<string, Row>> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-metrics-'))
  const releasers = new Releasers()
  try {
    const registries = await startProcesses({ folder, releasers })
    const rows = new Map<string, Row>()
    for (const process of PROCESSES) addRows(rows, process, registries[process])
    return rows
  } finally {
    await releasers.close()
    await rm(folder, { recursive: true, force: true })
  }
}

function addRows(rows: Map<string, Row>, process: ProcessName, registry: Metrics): void {
  for (const metric of registry.getMetricsAsArray()) {
    const { name, type, help } = metric
    // Every metric of prom-client has them; its types do not say so.
    const { labelNames: labels } = metric as typeof metric & { labelNames: readonly string[] }
    const kind = String(type)
    const known = rows.get(name)
    if (known === undefined) rows.set(name, { kind, labels, help, processes: new Set([process]) })
    else if (known.kind !== kind || known.help !== help || known.labels.join() !== labels.join()) {
      throw new Error(`${name} is not the same metric in ${[...known.processes].join(', ')} and ${process}`)
    } else known.processes.add(process)
  }
  const strays = [...rows.keys()].filter((name) => !SECTIONS.some(([prefix]) => name.startsWith(prefix)))
  if (strays.length > 0) throw new Error(`no section of the page takes ${strays.join(', ')}`)
}

function table(names: readonly string[], rows: ReadonlyMap<string, Row>): string {
  const head = ['metric', 'kind', 'unit', 'labels', ...PROCESSES, 'meaning']
  const lines = [head, head.map((title) => (PROCESSES.some((one) => one === title) ? ':-:' : '---'))]
  for (const name of names) {
    const row = rows.get(name)
    if (row === undefined) continue
    const labels = row.labels.map((label) => `\`${label}\``).join(', ')
    const marks = PROCESSES.map((process) => (row.processes.has(process) ? '•' : ''))
    lines.push([`\`${name}\``, row.kind, unitOf(name, row.help), labels, ...marks, row.help.replaceAll('|', '\\|')])
  }
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

/** By the naming rules of Prometheus the unit is the end of the name, before `_total`. */
function unitOf(name: string, help: string): string {
  if (/^1 (while|when) /.test(help)) return '0 or 1'
  return /_(seconds|bytes)(_total)?$/.exec(name)?.[1] ?? 'count'
}
