import { basename, dirname } from 'node:path'
import type { Source } from './sources.ts'

/**
 * Rules about which part of the code knows which. Each takes a list of files and returns what breaks it, so that
 * conventions-rooms.test.ts can plant a file that does.
 */

const list = (path: string, imported: string): string => `${path} -> ${imported}`

/** Imports that pick out some files and are not allowed for others. */
function arrows(sources: readonly Source[], isWrong: (path: string, imported: string) => boolean): string[] {
  return sources.flatMap(({ path, imports }) =>
    imports.filter((imported) => isWrong(path, imported)).map((imported) => list(path, imported)),
  )
}

/** Groups of files that import each other in a circle, types included: each as its sorted paths. */
export function importCircles(sources: readonly Source[]): string[][] {
  const files = new Map(sources.map((source) => [source.path, source]))
  const order = new Map<string, number>()
  const lowest = new Map<string, number>()
  const stack: string[] = []
  const circles: string[][] = []
  // Tarjan's strongly connected components.
  const visit = (path: string): number => {
    const own = order.size
    order.set(path, own)
    lowest.set(path, own)
    stack.push(path)
    for (const imported of files.get(path)?.imports ?? []) {
      if (!files.has(imported)) continue
      const reached = order.has(imported)
        ? stack.includes(imported)
          ? order.get(imported)
          : undefined
        : visit(imported)
      lowest.set(path, Math.min(lowest.get(path) ?? own, reached ?? own))
    }
    if (lowest.get(path) === own) {
      const circle = stack.splice(stack.indexOf(path))
      if (circle.length > 1 || files.get(path)?.imports.includes(path) === true) circles.push(circle.sort())
    }
    return lowest.get(path) ?? own
  }
  for (const path of files.keys()) if (!order.has(path)) visit(path)
  return circles.sort()
}

const BROKER = 'services/broker/'
/** From the ground up: each imports from itself and from those before it. */
export const BROKER_LAYERS = [
  ['mqtt'],
  ['metrics.ts', 'violation-metrics.ts', 'invariants.ts'],
  ['access'],
  ['telemetry'],
  ['cluster'],
  ['sessions'],
  ['listeners'],
  ['connection'],
  ['broker.ts', 'main.ts'],
] as const

function brokerLayer(path: string): number | undefined {
  if (!path.startsWith(BROKER)) return undefined
  const [room = ''] = path.slice(BROKER.length).split('/')
  return BROKER_LAYERS.findIndex((rooms) => (rooms as readonly string[]).includes(room))
}

/** Imports inside the broker that point up, and files of it that lie in no room. */
export function upwardImports(sources: readonly Source[]): string[] {
  const homeless = sources.filter(({ path }) => brokerLayer(path) === -1).map(({ path }) => `${path} lies in no room`)
  const upward = arrows(sources, (path, imported) => (brokerLayer(path) ?? Infinity) < (brokerLayer(imported) ?? -1))
  return [...homeless, ...upward]
}

/** What the codec of MQTT must not know: the rest of the broker, sockets, and aedes. */
export function groundBreakers(sources: readonly Source[]): string[] {
  const ground = sources.filter(({ path }) => path.startsWith(`${BROKER}mqtt/`))
  const imports = arrows(
    ground,
    (_, imported) =>
      (imported.startsWith('services/') && !imported.startsWith(`${BROKER}mqtt/`)) ||
      /^node:(net|tls|stream|http)/.test(imported),
  )
  const words = ground.filter(({ text }) => /\baedes\b/i.test(text) || /\b(Duplex|Socket)\b/.test(text))
  return [...imports, ...words.map(({ path }) => `${path} speaks of aedes or of sockets`)]
}

const AEDES = /^(aedes|aedes-.*|mqemitter)$/
const SESSIONS = `${BROKER}sessions/`
/** The one file that knows what aedes does not declare. */
const INTERNALS = `${SESSIONS}aedes-internals.ts`
const UNDECLARED = /\b(_parser|_nextId|_nextBatch|_disconnected|deliverQoS|registerClient)\b|\bpersistence\b/
const CASTS = /\bas (unknown as )?(Client|Aedes)\b( &)?|\._parser\b/

/** Production files outside sessions/ that know aedes, and files there that cast their way into it. */
export function aedesKnowers(sources: readonly Source[]): string[] {
  const production = sources.filter(({ path }) => /^(services|shared|config)\//.test(path))
  const outside = production.filter(({ path }) => !path.startsWith(SESSIONS))
  const imports = arrows(outside, (_, imported) => AEDES.test(imported))
  const touching = outside.filter(({ path, text }) => path.startsWith(BROKER) && UNDECLARED.test(codeOf(text)))
  const casting = production.filter(({ path, text }) => path !== INTERNALS && CASTS.test(codeOf(text)))
  return [
    ...imports,
    ...touching.map(({ path }) => `${path} touches what aedes does not declare`),
    ...casting.map(({ path }) => `${path} casts to a type of aedes`),
  ]
}

function codeOf(text: string): string {
  return text.replace(/\/\*.*?\*\/|\/\/[^\n]*/gs, '')
}

const PORT = /^(shared\/[^/]+)\/port\.ts$/
/** What the engines of a port share. */
const COMMON = ['sql']

/**
 * Ports without engines, folders of a port that are no engine (`shared/<port>/<engine>/open.ts`), engines that import
 * each other, and files that open an engine and are not main files.
 */
export function misplacedEngines(sources: readonly Source[]): string[] {
  const ports = sources.flatMap(({ path }) => PORT.exec(path)?.[1] ?? [])
  const engineOf = (path: string): string | undefined => {
    const [shared = '', port = '', engine, file] = path.split('/')
    const isInside = ports.includes(`${shared}/${port}`) && engine !== undefined && file !== undefined
    return isInside && !COMMON.includes(engine) ? `${shared}/${port}/${engine}` : undefined
  }
  const folders = new Set(sources.flatMap(({ path }) => engineOf(path) ?? []))
  const opened = new Set(sources.filter(({ path }) => basename(path) === 'open.ts').map(({ path }) => dirname(path)))
  const production = sources.filter(({ path }) => /^(services|shared|config)\//.test(path))
  return [
    ...ports
      .filter((port) => ![...opened].some((engine) => dirname(engine) === port))
      .map((port) => `${port}: no engine`),
    ...[...folders].filter((folder) => !opened.has(folder)).map((folder) => `${folder}: no open.ts`),
    ...arrows(production, (path, imported) => {
      const [from, to] = [engineOf(path), engineOf(imported)]
      return from !== undefined && to !== undefined && from !== to && dirname(from) === dirname(to)
    }),
    ...arrows(production, (path, imported) => opened.has(dirname(imported)) && isOpener(imported) && !isMain(path)),
  ]
}

function isOpener(path: string): boolean {
  return basename(path) === 'open.ts'
}

function isMain(path: string): boolean {
  return basename(path) === 'main.ts'
}

/** Imports of a folder's inside, by files outside it, that are none of its doors. */
export function backDoors(sources: readonly Source[], folder: string, doors: readonly string[]): string[] {
  const isInside = (path: string): boolean => path.startsWith(`${folder}/`)
  const isDoor = (path: string): boolean => doors.includes(path.slice(folder.length + 1))
  return arrows(sources, (path, imported) => !isInside(path) && isInside(imported) && !isDoor(imported))
}

/** Imports from files below one folder to files below another. */
export function crossings(sources: readonly Source[], from: string, to: string): string[] {
  return arrows(sources, (path, imported) => path.startsWith(`${from}/`) && imported.startsWith(`${to}/`))
}

/** Files that hold an invariant, and do not begin with it. */
export function missingInvariants(sources: readonly Source[], holders: readonly string[]): string[] {
  const begin = new Map(sources.map(({ path, text }) => [path, text.startsWith('// Invariant: ')]))
  return holders.filter((path) => begin.get(path) !== true)
}
