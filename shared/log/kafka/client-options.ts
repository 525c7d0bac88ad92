import type { ConnectionOptions } from 'node:tls'
import type { Mechanism, SASLOptions } from 'kafkajs'
import { tokenLogin } from './token-login.ts'

/** Where Kafka is and how to speak to it. */
export interface ClientOptions {
  readonly brokers: readonly string[]
  readonly clientId: string
  /** TLS: `true` with the authorities of the system, or options of `tls.connect`, asked at each connection. */
  readonly ssl?: boolean | (() => ConnectionOptions)
  readonly sasl?: PasswordLogin | TokenLogin
}

/** The password is asked for at each login, so that it may change. */
interface PasswordLogin {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
  readonly username: string
  readonly password: () => string
}

/** A token of OAuth 2, asked for at each login, because it soon expires. What it rejects with is why there is no login. */
interface TokenLogin {
  readonly mechanism: 'oauthbearer'
  readonly token: () => Promise<string>
}

/** What `tls.connect` takes beside the address, at this moment; null for a plain connection. */
export function toTls({ ssl = false }: ClientOptions): ConnectionOptions | null {
  if (ssl === false) return null
  return ssl === true ? {} : ssl()
}

/** kafkajs adds to them: they are not shared. */
export function toSasl(login: PasswordLogin | TokenLogin): SASLOptions | Mechanism {
  return login.mechanism === 'oauthbearer' ? tokenLogin(login.token) : passwordLogin(login)
}

/** kafkajs reads the password from its options at each login. */
function passwordLogin({ mechanism, username, password }: PasswordLogin): SASLOptions {
  return {
    mechanism,
    username,
    get password() {
      return password()
    },
  }
}
