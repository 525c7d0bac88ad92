/** Where a connection comes from, as its listener knows it. */
export interface Origin {
  readonly listener: 'tcp' | 'tls' | 'ws' | 'wss'
  /** Of the client itself, also behind a proxy; empty when it has gone already. */
  readonly remoteAddress: string
  /** Common name of a client certificate that was verified. */
  readonly certificateName?: string
}
