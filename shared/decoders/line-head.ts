import { compareText } from '../text-order.ts'

/** Names of fields kept, and heads of lines; what a fleet has in use. Then all are forgotten and learnt again. */
const MAX_KEPT = 50_000
/** Characters of these. */
const MAX_CHARACTERS = 4 * 1024 * 1024

type Tag = readonly [key: string, value: string]

/** What stands in a line in front of its fields: measurement and tags, which most lines have in common with others. */
export class LineHead {
  readonly measurement: string
  readonly tags: readonly Tag[]
  readonly #kept: Kept
  /** By what is in front of the names and which tag is left out of them: by the field as it is written, its name. */
  readonly #names = new Map<string, Map<string, string>>()

  constructor(measurement: string, tags: readonly Tag[], kept: Kept) {
    this.measurement = measurement
    this.tags = tags
    this.#kept = kept
  }

  /** The value of a tag; the first of two that are called alike. */
  tag(key: string): string | undefined {
    return this.tags.find(([name]) => name === key)?.[1]
  }

  /**
   * The name of a field (`field{cpu="cpu0"}`): what is to stand in front, the field, and the tags in the order of their keys,
   * but for the one that is left out. `written` is the field as the line has it, in latin1.
   */
  nameOf(written: string, front: string, leftOut = ''): string {
    const way = front === '' ? leftOut : `${front}\n${leftOut}`
    let names = this.#names.get(way)
    if (names === undefined) this.#names.set(way, (names = new Map<string, string>()))
    const known = names.get(written)
    if (known !== undefined) return known
    const tags = this.tags.filter(([key]) => key !== leftOut).toSorted(([a], [b]) => compareText(a, b))
    const labels = tags.map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    const field = unescapeName(Buffer.from(written, 'latin1').toString('utf8'))
    const name = `${front}${field}${labels.length === 0 ? '' : `{${labels.join(',')}}`}`
    this.#kept.add(written.length + name.length)
    names.set(written, name)
    return name
  }
}

/** Heads by their bytes, so that one that is known costs no parsing. Bounded. */
export class Kept {
  #heads = new Map<string, LineHead>()
  #count = 0
  #characters = 0

  /** Undefined for a text that is no head. `written` is what stands before the first blank, in latin1. */
  head(written: string): LineHead | undefined {
    const known = this.#heads.get(written)
    if (known !== undefined) return known
    const parsed = parseHead(Buffer.from(written, 'latin1').toString('utf8'))
    if (parsed === undefined) return undefined
    const head = new LineHead(parsed.measurement, parsed.tags, this)
    this.add(2 * written.length)
    this.#heads.set(written, head)
    return head
  }

  add(characters: number): void {
    this.#count += 1
    this.#characters += characters
    if (this.#count <= MAX_KEPT && this.#characters <= MAX_CHARACTERS) return
    this.#heads = new Map()
    this.#count = 0
    this.#characters = 0
  }
}

function parseHead(text: string): { measurement: string; tags: Tag[] } | undefined {
  const [first = '', ...others] = partsOf(text, ',')
  const tags: Tag[] = []
  for (const other of others) {
    const [key = '', ...values] = partsOf(other, '=')
    const value = values.join('=')
    if (key === '' || value === '') return undefined
    tags.push([unescapeName(key), unescapeName(value)])
  }
  return first === '' ? undefined : { measurement: unescapeName(first), tags }
}

/** A backslash in front of what would part a name is none of it. */
function unescapeName(text: string): string {
  return text.includes('\\') ? text.replace(/\\([,= ])/g, '$1') : text
}

/** Parted where the separator stands without a backslash in front. */
function partsOf(text: string, separator: ',' | '='): string[] {
  if (!text.includes('\\')) return text.split(separator)
  return text.split(separator === ',' ? /(?<!\\),/ : /(?<!\\)=/)
}
