import { toSluiceError } from '../../../shared/errors.ts'
import { letterCounts, lettersLately } from '../letters-lately.ts'
import { lossesOfLog, lossesText, repartitionOfLog, unstoredText, type Unstored } from '../log-state.ts'
import { checksOf, failingServers } from '../ready-checks.ts'
import { listWorkers, shownWorkers } from '../workers.ts'
import type { Commands, Session } from '../session.ts'
import { textTable } from '../../../shared/text-table.ts'
import { printable } from '../../../shared/printable.ts'

interface Node {
  readonly id: string
  readonly address: { readonly host: string; readonly port: number }
  readonly clients: number
  readonly inFlight: number
  readonly since: string
  readonly features?: readonly string[]
}

/** What is null or absent where it is not known. */
interface Counted {
  readonly unstored?: Unstored | null
  readonly readings?: number | null
}

export function addStatus({ program, run }: Commands): void {
  program
    .command('status')
    .description('show whether Sluice is running, ready and storing, and where; exit code 1 if it is not')
    .action(run(showStatus))
}

async function showStatus(session: Session): Promise<0 | 1> {
  const { api } = session
  const [{ unstored, readings, ...status }, readiness, nodes, losses, workers, letters, change] = await Promise.all([
    api.get<Record<string, unknown> & Counted>('/v1/status'),
    api.probe('/readyz'),
    listNodes(session),
    lossesOfLog(session),
    listWorkers(session),
    lettersLately(session),
    repartitionOfLog(session),
  ])
  const ready = readiness.status === 200
  const stores = !('workers' in workers) || workers.workers.length > 0
  const all = {
    url: api.url.origin,
    ready,
    readiness: readiness.body,
    ...status,
    readings,
    unstored,
    ...losses,
    ...nodes,
    ...workers,
    ...letters,
    ...change,
  }
  session.result(all, () => {
    const values = Object.entries({ url: api.url.origin, ready: ready ? 'yes' : 'no', ...status }).filter(
      ([, value]) => value !== null,
    )
    const lines = values.map(([name, value]) => printable(`${name.padEnd(10)} ${shown(value)}`))
    return [
      ...lines,
      ...(typeof readings === 'number' ? [`stored     ${readings} readings since the start`] : []),
      ...(unstored === undefined || unstored === null ? [] : [`log        ${unstoredText(unstored)}`]),
      ...shownChange(change),
      ...lossesText(losses).map((text) => printable(`lost       ${text}`)),
      ...letterCounts(letters).map((text) => printable(`letters    ${text}`)),
      ...shownDisk(readiness.body),
      ...failingServers(readiness.body).map((text) => printable(`failing    ${text}`)),
      ...(ready ? [] : [printable(`readyz     ${shown(readiness.body)}`)]),
      ...(stores ? [] : ['workers    none lives: nothing is stored, and the log keeps what devices send']),
      ...shownNodes(nodes),
      ...shownWorkers(workers),
    ].join('\n')
  })
  return ready && stores ? 0 : 1
}

/** How full the disk is, or that it is full. */
function shownDisk(readiness: unknown): string[] {
  return checksOf(readiness).flatMap(({ name, detail }) =>
    name === 'disk' && detail !== undefined ? [printable(`disk       ${detail}`)] : [],
  )
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** The broker nodes, or why they cannot be told: the rest of the status is told all the same. */
async function listNodes({ api }: Session): Promise<{ nodes: readonly Node[] } | { nodesUnknown: string }> {
  try {
    const { nodes } = await api.get<{ nodes?: readonly Node[] }>('/v1/nodes')
    return { nodes: nodes ?? [] }
  } catch (error) {
    return { nodesUnknown: toSluiceError(error).code }
  }
}

function shownNodes(known: Awaited<ReturnType<typeof listNodes>>): string[] {
  if ('nodesUnknown' in known) return [`nodes      unknown: ${known.nodesUnknown}`]
  if (known.nodes.length === 0) return []
  const rows = known.nodes.map(({ id, address, clients, inFlight, since, features = [] }) => {
    const load = [String(clients), String(inFlight)]
    return [id, `${address.host}:${address.port}`, ...load, since, features.join(' ')]
  })
  return ['', textTable(['node', 'address', 'clients', 'in flight', 'since', 'reads'], rows)]
}

function shownChange(known: Awaited<ReturnType<typeof repartitionOfLog>>): string[] {
  if (!('repartition' in known) || known.repartition === undefined) return []
  const { state, from, to, since } = known.repartition
  return [printable(`partitions ${from} to ${to}, ${state} since ${since}`)]
}
