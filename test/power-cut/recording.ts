/** A system call that came back. */
export interface Call {
  readonly name: string
  readonly thread: string
  /** When strace saw it come back, or begin, in milliseconds since 1970. */
  readonly ms: number
  readonly result: number
  readonly text: string
  /** Of `copy_file_range` the one that is written to, whose path is the second one. */
  readonly descriptor: number | undefined
  /** Of the descriptors, or as given. */
  readonly paths: readonly string[]
  readonly bytes: Buffer
  /** The last number: an offset or a length. */
  readonly number: number
}

/** Every call that came back, in the order of coming back. */
export function callsOf(trace: string): Call[] {
  const begun = new Map<string, string>()
  const calls: Call[] = []
  for (const line of trace.split('\n')) {
    const [, thread = '', seconds = '', rest = ''] = /^(\d+) +([\d.]+) (.*)$/.exec(line) ?? []
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest)
    if (rest.endsWith('<unfinished ...>')) {
      begun.set(thread, rest.slice(0, -'<unfinished ...>'.length))
      continue
    }
    const whole = resumed === null ? rest : `${begun.get(thread) ?? ''}${resumed[1]}`
    const [, name = '', text = '', result = ''] = /^(\w+)\((.*)\) += (-?\d+)/.exec(whole) ?? []
    if (name === '') continue
    calls.push({ name, thread, ms: Number(seconds) * 1000, result: Number(result), ...argumentsOf(name, text) })
  }
  return calls
}

function argumentsOf(name: string, text: string): Pick<Call, 'text' | 'descriptor' | 'paths' | 'bytes' | 'number'> {
  const descriptors = name === 'openat' ? [] : [...text.matchAll(/(?:^|, )(\d+)<((?:[^<>]|->)*)>/g)]
  const strings = [...text.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map(([, hex = '']) => unescaped(hex))
  const isData = name === 'write' || name === 'pwrite64'
  return {
    text,
    descriptor: descriptors.length === 0 ? undefined : Number(descriptors.at(-1)?.[1]),
    paths: descriptors.length === 0 ? strings.map(String) : descriptors.map(([, , shown = '']) => pathOf(shown)),
    bytes: (isData ? strings[0] : undefined) ?? Buffer.alloc(0),
    number: Number(/(\d+)\s*$/.exec(text)?.[1]),
  }
}

function pathOf(shown: string): string {
  return shown.includes('\\x') ? unescaped(shown).toString() : shown
}

function unescaped(hex: string): Buffer {
  return Buffer.from(hex.replaceAll('\\x', ''), 'hex')
}
