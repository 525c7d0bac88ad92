import type { Mechanism } from 'kafkajs'
import { SluiceError } from '../../errors.ts'

/** Ends each part of a message: US-ASCII SOH. */
const END = '\u0001'

/**
 * The login with a token (RFC 7628). Written here because kafkajs takes a refusal, which comes as an answer like any other,
 * for a success: the connection breaks with the next request then, and looks as if Kafka were down. Error: `log_refused`.
 */
export function tokenLogin(token: () => Promise<string>): Mechanism {
  return {
    mechanism: 'oauthbearer',
    authenticationProvider: ({ saslAuthenticate }) => ({
      async authenticate() {
        const message = Buffer.from(`n,,${END}auth=Bearer ${await token()}${END}${END}`)
        const length = Buffer.alloc(4)
        length.writeInt32BE(message.length)
        const request = { encode: () => Buffer.concat([length, message]) }
        const response = { decode: (bytes: Buffer) => bytes, parse: (bytes: Buffer) => bytes.toString('utf8') }
        // Nothing, or why not: {"status":"invalid_token"}.
        const [, status] = /"status"\s*:\s*"([\w-]+)"/.exec((await saslAuthenticate({ request, response })) ?? '') ?? []
        if (status !== undefined) throw new SluiceError('log_refused', `Kafka refuses the token: ${status}`)
      },
    }),
  }
}
