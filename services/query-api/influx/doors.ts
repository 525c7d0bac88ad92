import { SluiceError } from '../../../shared/errors.ts'
import type { Api, ApiParts } from '../api.ts'
import type { Authentication } from '../authentication.ts'
import { presentedToken } from './credentials.ts'
import { InfluxError, sendInfluxError } from './influx-error.ts'
import { Intake } from './intake.ts'
import { LinePosts, type Doorway } from './line-posts.ts'
import { databaseRoutes, pingRoutes } from './small-routes.ts'
import { writeRoutes } from './write-routes.ts'

type Parts = ApiParts<'registry' | 'log' | 'settings' | 'stamp' | 'workers' | 'metrics' | 'readiness'>

/** What clients of InfluxDB are told that they talk to: what of its API they may use follows from it. */
const VERSION = '1.8.10'

/** The doors for programs that write to InfluxDB, of both of its versions; see docs/influx-clients.md. */
export function influxDoors(app: Api, options: Parts, authentication: Authentication, doorway: Doorway): void {
  app.decorateRequest('place', undefined)
  app.setErrorHandler(sendInfluxError)
  app.addSchema(InfluxError)
  // Bytes, whatever their media type is called.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.addHook('onSend', async (_request, reply) => {
    reply.header('x-influxdb-version', VERSION).header('x-influxdb-build', 'Sluice')
  })
  pingRoutes(app, options, VERSION)
  app.register(async (closed: Api) => {
    closed.addHook('onRequest', async (request) => {
      const token = presentedToken(request)
      if (token === undefined) throw new SluiceError('token_missing', 'The request has no token.')
      await authentication.checkLogin(request, token)
    })
    databaseRoutes(closed)
    writeRoutes(closed, options, new Intake(options.metrics), new LinePosts(options, doorway))
  })
}
