import type { ConnectionOptions } from 'node:tls'
import type { SASLOptions } from 'kafkajs'

/** Where Kafka is and how to speak to it. */
export interface ClientOptions {
  readonly brokers: readonly string[]
  readonly clientId: string
  /** TLS: `true` with the authorities of the system, or options of `tls.connect`, asked at each connection. */
  readonly ssl?: boolean | (() => ConnectionOptions)
  /** The password is asked for at each login, so that it may change. */
  readonly sasl?: {
    readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
    readonly username: string
    readonly password: () => string
  }
}

/** What `tls.connect` takes beside the address, at this moment; null for a plain connection. */
export function toTls({ ssl = false }: ClientOptions): ConnectionOptions | null {
  if (ssl === false) return null
  return ssl === true ? {} : ssl()
}

/** kafkajs reads the password from its options at each login; it also adds to them, so they are not shared. */
export function toSasl({ mechanism, username, password }: NonNullable<ClientOptions['sasl']>): SASLOptions {
  return {
    mechanism,
    username,
    get password() {
      return password()
    },
  }
}
