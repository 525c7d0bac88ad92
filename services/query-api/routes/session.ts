import Type from 'typebox'
import { SluiceError } from '../../../shared/errors.ts'
import type { Api } from '../api.ts'
import type { Authentication } from '../authentication.ts'
import type { BrowserSessions } from '../browser-sessions.ts'
import { problemResponses } from '../problem.ts'

/** A cookie of earlier versions: it was the key itself, and browsers send a cookie to every port of the host. */
const OLD_COOKIE = 'sluice_token'

const SessionView = Type.Object({
  token: Type.String({ description: 'To be sent as a bearer token in place of the key.' }),
  lastsSeconds: Type.Integer({ description: 'The session ends after this time, however much it is used.' }),
  idleSeconds: Type.Integer({ description: 'It ends when it is not used for this time; an open /v1/stream is a use.' }),
})

/** Trades an API key for a token that ends, so that no browser has to keep the key. */
export function openSessionRoute(app: Api, authentication: Authentication, sessions: BrowserSessions): void {
  app.post(
    '/v1/session',
    {
      schema: {
        tags: ['operation'],
        summary: 'Open a session for a browser',
        description:
          'Trades an API key for a token with its rights. The token ends with the session: by DELETE, by time, and ' +
          'with this process, which alone knows it. A session opens no other one.',
        security: [],
        body: Type.Object({ token: Type.String({ minLength: 1, maxLength: 1024 }) }, { additionalProperties: false }),
        response: { 201: SessionView, ...problemResponses },
      },
    },
    async (request, reply) => {
      const { token: key } = request.body
      if ((await authentication.nameOf(key)) === undefined) {
        throw new SluiceError('token_invalid', 'The token is not a known API key.')
      }
      const { token, lastsMs, idleMs } = sessions.open(key)
      if (request.headers.cookie?.includes(`${OLD_COOKIE}=`) === true) {
        reply.header('set-cookie', `${OLD_COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict`)
      }
      const view = { token, lastsSeconds: lastsMs / 1000, idleSeconds: idleMs / 1000 }
      return reply.code(201).header('cache-control', 'no-store').send(view)
    },
  )
}

export function endSessionRoute(app: Api, sessions: BrowserSessions): void {
  app.delete(
    '/session',
    {
      schema: {
        tags: ['operation'],
        summary: 'End the session that asks for it',
        description: 'Its live views end at once.',
        response: { 204: Type.Null({ description: 'The session has ended.' }), ...problemResponses },
      },
    },
    async ({ session }, reply) => {
      if (session === undefined) {
        throw new SluiceError('bad_request', 'This request was made with an API key, not with the token of a session.')
      }
      sessions.end(session, 'log_out')
      return reply.code(204).send(null)
    },
  )
}
