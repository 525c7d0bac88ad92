/**
 * What the processes of an installation agree on, as short texts by name. Names have at most 64 characters, values 255.
 * Everything is durable when it resolves. Errors as of `Registry`.
 */
export interface Facts {
  /** Undefined when nobody has said it yet. */
  get(name: string): Promise<string | undefined>
  /** Says it unless it is said already; resolves with what is said then. */
  keep(name: string, value: string): Promise<string>
  /** In place of what was said before. */
  put(name: string, value: string): Promise<void>
}
