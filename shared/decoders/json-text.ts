import type { JsonScanner } from './json-scanner.ts'

/** The text of a JSON string whose grammar was checked. */
export function unescape(body: string): string {
  return JSON.parse(`"${body}"`) as string
}

/** The JSON string, whose grammar was checked, that begins with the quote at `position`. */
export function stringAt(scanner: JsonScanner, position: number): string {
  const text = scanner.text(position + 1, scanner.string(position + 1))
  return scanner.escaped ? unescape(text) : text
}

/** A text as it may stand in a message: quoted, and not too long. */
export function quote(text: string): string {
  return JSON.stringify(shorten(text))
}

export function shorten(text: string): string {
  return text.length > 64 ? `${text.slice(0, 61)}...` : text
}

/** What is wrong with a second value for a field. */
export function repeated(field: string): string {
  return `another value for ${quote(field)} comes before this one`
}
