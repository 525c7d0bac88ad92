import type { Harness } from '../broker-harness.ts'

/** How a client reaches the broker. */
export interface Way {
  readonly kind: 'tcp' | 'tls' | 'ws' | 'wss'
  readonly port: number
  /** Of the authority, with TLS. */
  readonly ca?: string
  readonly certificate?: { readonly cert: string; readonly key: string }
}

export function wayTo({ broker, port }: Harness, kind: Way['kind'], tls: Omit<Way, 'kind' | 'port'> = {}): Way {
  const { addresses } = broker
  const at = kind === 'tcp' ? port : addresses[kind]?.port
  if (at === undefined) throw new Error(`the broker does not listen on ${kind}`)
  return { kind, port: at, ...tls }
}
