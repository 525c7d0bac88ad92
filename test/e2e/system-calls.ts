/** Reads `strace -f -yy -xx` of a server: which acknowledgements left before their payload was synced to disk. */

interface Call {
  readonly name: string
  /** File path, or `TCP...:[local->remote]`. */
  readonly target: string
  readonly bytes: Buffer
}

const COMPLETE = /^(\d+) +(\w+)\(\d+<((?:->|[^>])*)>(.*)\) += (-?\d+)/
const UNFINISHED = /^(\d+) +(\w+)\(\d+<((?:->|[^>])*)>(.*)<unfinished \.\.\.>/
const RESUMED = /^(\d+) +<\.\.\. (\w+) resumed>.* = (-?\d+)/
const MARK = /"mark":1(\d{6})/g
const PUBACK = 0x40

/**
 * `acks` counts the PUBACKs on the MQTT port; `early` those whose payload (`"mark":1000000 + packet id`) was not in a
 * file write that completed before a sync of the same file began, and that sync had not completed either.
 */
export function acksBeforeSync(trace: string, mqttPort: number): { acks: number; early: number } {
  const watch = new Watch(mqttPort)
  const unfinished = new Map<string, Call>()
  for (const line of trace.split('\n')) {
    const whole = COMPLETE.exec(line)
    const begun = whole === null ? UNFINISHED.exec(line) : null
    const resumed = RESUMED.exec(line)
    if (whole !== null) {
      const call = callOf(whole)
      watch.begin(call)
      watch.end(call)
    } else if (begun !== null) {
      const call = callOf(begun)
      unfinished.set(begun[1] ?? '', call)
      watch.begin(call)
    } else if (resumed !== null) {
      const call = unfinished.get(resumed[1] ?? '')
      if (call !== undefined) watch.end(call)
      unfinished.delete(resumed[1] ?? '')
    }
  }
  return { acks: watch.acks, early: watch.early }
}

class Watch {
  acks = 0
  early = 0
  readonly #local: string
  /** Marks by file: written but not synced; and by sync in progress. */
  readonly #written = new Map<string, Set<number>>()
  readonly #syncing = new Map<Call, Set<number>>()
  readonly #synced = new Set<number>()

  constructor(mqttPort: number) {
    this.#local = `:${mqttPort}->`
  }

  begin(call: Call): void {
    if (/sync$/.test(call.name)) {
      this.#syncing.set(call, this.#written.get(call.target) ?? new Set())
      this.#written.delete(call.target)
    } else if (call.target.startsWith('TCP') && call.target.includes(this.#local)) {
      this.#acknowledge(call.bytes)
    }
  }

  end(call: Call): void {
    if (/sync$/.test(call.name)) {
      for (const mark of this.#syncing.get(call) ?? []) this.#synced.add(mark)
      this.#syncing.delete(call)
    } else if (!call.target.startsWith('TCP')) {
      const marks = [...call.bytes.toString('latin1').matchAll(MARK)].map((match) => Number(match[1]))
      if (marks.length === 0) return
      const written = this.#written.get(call.target) ?? new Set()
      this.#written.set(call.target, new Set([...written, ...marks]))
    }
  }

  #acknowledge(bytes: Buffer): void {
    for (let at = 0; at + 1 < bytes.length; at += 2 + (bytes[at + 1] ?? 0)) {
      if (bytes[at] !== PUBACK) continue
      this.acks += 1
      if (!this.#synced.has(bytes.readUInt16BE(at + 2))) this.early += 1
    }
  }
}

function callOf(match: RegExpExecArray): Call {
  const [, , name = '', target = '', rest = ''] = match
  const hex = [...rest.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)]
    .map((part) => (part[1] ?? '').replaceAll('\\x', ''))
    .join('')
  return { name, target: target.startsWith('\\x') ? unescape(target) : target, bytes: Buffer.from(hex, 'hex') }
}

function unescape(text: string): string {
  return Buffer.from(text.replaceAll('\\x', ''), 'hex').toString()
}
