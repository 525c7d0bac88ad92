/** Who acts on an error; the names are those of the design's error classes. */
export type ErrorClass = 'transient' | 'configuration' | 'data' | 'size' | 'overload' | 'refused' | 'usage'

export interface ErrorKind {
  readonly class: ErrorClass
  /** The same attempt may succeed later without anybody changing anything. */
  readonly canRetry: boolean
  /** Status of the problem+json answer when this error ends an HTTP request. */
  readonly status: number
  /** One sentence: what the person who sees it should do. */
  readonly fix: string
}

export const data = (fix: string): ErrorKind => ({ class: 'data', canRetry: false, status: 400, fix })
export const refused = (status: number, fix: string): ErrorKind => ({ class: 'refused', canRetry: false, status, fix })
export const usage = (status: number, fix: string): ErrorKind => ({ class: 'usage', canRetry: false, status, fix })
export const configuration = (fix: string): ErrorKind => ({ class: 'configuration', canRetry: false, status: 500, fix })
export const overload = (fix: string): ErrorKind => ({ class: 'overload', canRetry: true, status: 503, fix })
export const transient = (fix: string): ErrorKind => ({ class: 'transient', canRetry: true, status: 503, fix })
