import { compareText } from '../text-order.ts'
import { doubleOf } from './json-number.ts'

/** One line of Influx line protocol. */
export interface Line {
  readonly measurement: string
  readonly tags: readonly (readonly [key: string, value: string])[]
  /** In order; null: no number (`nan`). */
  readonly fields: readonly (readonly [key: string, value: number | bigint | boolean | string | null])[]
  /** Its digits, with a sign perhaps. */
  readonly time: string | undefined
}

const NUMBER = /^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$/
const INTEGER = /^-?\d{1,19}[iu]$/
const NO_NUMBER = /^[-+]?(?:nan|inf(?:inity)?)$/i
const TRUE: ReadonlySet<string> = new Set(['t', 'T', 'true', 'True', 'TRUE'])
const FALSE: ReadonlySet<string> = new Set(['f', 'F', 'false', 'False', 'FALSE'])

/**
 * The lines of a text that is nothing but line protocol, each with a field; else undefined. Comments and empty lines are
 * passed over. https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/
 */
export function parseLines(text: string): Line[] | undefined {
  // Without it there is no field.
  if (!text.includes('=')) return undefined
  const cursor = new Cursor(text)
  const lines: Line[] = []
  while (cursor.nextLine()) {
    const line = cursor.line()
    if (line === undefined) return undefined
    lines.push(line)
  }
  return lines
}

/** The name of a field of a line, in a stream: the measurement, if it is not the stream, the field, and the tags. */
export function fieldOf({ measurement, tags }: Line, field: string, stream: string): string {
  const name = measurement === stream ? field : `${measurement}.${field}`
  if (tags.length === 0) return name
  const labels = tags.toSorted(([a], [b]) => compareText(a, b)).map(([key, value]) => `${key}=${JSON.stringify(value)}`)
  return `${name}{${labels.join(',')}}`
}

class Cursor {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  /** Over what is between lines; false at the end. */
  nextLine(): boolean {
    for (;;) {
      while (/[\s]/.test(this.#next())) this.#at += 1
      if (this.#next() !== '#') return this.#at < this.#text.length
      const end = this.#text.indexOf('\n', this.#at)
      this.#at = end < 0 ? this.#text.length : end
    }
  }

  line(): Line | undefined {
    const measurement = this.#name(', ')
    if (measurement === undefined) return undefined
    const tags: [string, string][] = []
    while (this.#take(',')) {
      const key = this.#name('=')
      if (key === undefined || !this.#take('=')) return undefined
      const value = this.#name(', ')
      if (value === undefined) return undefined
      tags.push([key, value])
    }
    const fields = this.#spaces() ? this.#fields() : undefined
    if (fields === undefined) return undefined
    const time = this.#spaces() ? this.#digits() : undefined
    this.#spaces()
    return this.#isAtEnd() ? { measurement, tags, fields, time } : undefined
  }

  #fields(): Line['fields'] | undefined {
    const fields: (readonly [string, Line['fields'][number][1]])[] = []
    do {
      const key = this.#name('=')
      if (key === undefined || !this.#take('=')) return undefined
      const value = this.#next() === '"' ? this.#quoted() : valueOf(this.#bare())
      if (value === undefined) return undefined
      fields.push([key, value])
    } while (this.#take(','))
    return fields
  }

  #next(): string {
    return this.#text[this.#at] ?? ''
  }

  #take(character: string): boolean {
    if (this.#next() !== character) return false
    this.#at += 1
    return true
  }

  #spaces(): boolean {
    const from = this.#at
    while (this.#next() === ' ') this.#at += 1
    return this.#at > from
  }

  #isAtEnd(): boolean {
    const next = this.#next()
    return next === '' || next === '\n' || (next === '\r' && (this.#text[this.#at + 1] ?? '\n') === '\n')
  }

  /** A name up to one of these, at least one character; a backslash in front of what would end one is none of it. */
  #name(ends: string): string | undefined {
    let name = ''
    for (;;) {
      const next = this.#next()
      if (next === '\\' && /[,= ]/.test(this.#text[this.#at + 1] ?? '')) {
        name += this.#text[this.#at + 1] ?? ''
        this.#at += 2
        continue
      }
      if (next === '' || next === '\n' || next === '\r' || ends.includes(next)) break
      // Where it needs an escape it was not written as line protocol.
      if (next === ' ' || (next === ',' && ends === '=')) return undefined
      name += next
      this.#at += 1
    }
    return name === '' ? undefined : name
  }

  /** From the opening quote; line feeds may stand in it. */
  #quoted(): string | undefined {
    let text = ''
    for (this.#at += 1; this.#at < this.#text.length; this.#at += 1) {
      const next = this.#next()
      if (next === '"') {
        this.#at += 1
        return text
      }
      const behind = this.#text[this.#at + 1]
      if (next === '\\' && (behind === '"' || behind === '\\')) this.#at += 1
      text += this.#next()
    }
    return undefined
  }

  #bare(): string {
    const from = this.#at
    while (!this.#isAtEnd() && this.#next() !== ',' && this.#next() !== ' ') this.#at += 1
    return this.#text.slice(from, this.#at)
  }

  #digits(): string | undefined {
    const from = this.#at
    if (this.#next() === '-') this.#at += 1
    while (/\d/.test(this.#next())) this.#at += 1
    return this.#at === from ? undefined : this.#text.slice(from, this.#at)
  }
}

function valueOf(text: string): number | bigint | boolean | null | undefined {
  if (NUMBER.test(text)) {
    const value = Number(text)
    return Number.isFinite(value) ? value : undefined
  }
  if (INTEGER.test(text)) return doubleOf(BigInt(text.slice(0, -1)))
  if (TRUE.has(text)) return true
  if (FALSE.has(text)) return false
  return NO_NUMBER.test(text) ? null : undefined
}
