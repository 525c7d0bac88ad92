import type { ErrorCode } from '../../shared/errors.ts'

/** A JSON value with what JSON.parse forgets: members in order, repeated ones too, and numbers as written. */
export type Tree =
  | { readonly kind: 'object'; readonly members: readonly (readonly [key: string, value: Tree])[] }
  | { readonly kind: 'array'; readonly elements: readonly Tree[] }
  | { readonly kind: 'number' | 'string'; readonly text: string }
  | { readonly kind: 'true' | 'false' | 'null' }

export type ObjectTree = Tree & { readonly kind: 'object' }
export type ArrayTree = Tree & { readonly kind: 'array' }
export type Place = 'top' | 'values' | 'nested'

/** What is wrong, by its code. */
export class Refused extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode) {
    super(code)
    this.code = code
  }
}

/** The text is known to be JSON, so that every token is where it belongs. */
export function treeOf(text: string): Tree {
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[-+.\deE]+|true|false|null|[{}[\]:,]/gu) ?? []
  let next = 0
  const value = (): Tree => {
    const token = tokens[next++] ?? ''
    if (token === '{') {
      const members: [string, Tree][] = []
      while (tokens[next] !== '}') {
        if (tokens[next] === ',') next++
        const key = JSON.parse(tokens[next] ?? '') as string
        next += 2
        members.push([key, value()])
      }
      next++
      return { kind: 'object', members }
    }
    if (token === '[') {
      const elements: Tree[] = []
      while (tokens[next] !== ']') {
        if (tokens[next] === ',') next++
        elements.push(value())
      }
      next++
      return { kind: 'array', elements }
    }
    if (token.startsWith('"')) return { kind: 'string', text: JSON.parse(token) as string }
    if (token === 'true' || token === 'false' || token === 'null') return { kind: token }
    return { kind: 'number', text: token }
  }
  return value()
}

export function checkName(name: string): void {
  const bytes = new TextEncoder().encode(name).length
  if (bytes > 1024 || /\p{Cs}/u.test(name)) throw new Refused('field_name_invalid')
}
