import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { Readable } from 'node:stream'
import type { queryApiSettings } from '../../config/query-api.ts'
import type { Recipients } from '../../shared/backup/envelope.ts'
import type { UploadedTable } from '../../shared/codecs/uploaded-table.ts'
import type { Cache } from '../../shared/cache/port.ts'
import type { BrokerNodes } from '../../shared/commands.ts'
import type { Config } from '../../shared/config.ts'
import type { GroupOwner, TelemetryLog } from '../../shared/log/port.ts'
import type { PointStore } from '../../shared/points/port.ts'
import type { Logger } from '../../shared/process/logger.ts'
import type { Metrics } from '../../shared/process/metrics.ts'
import type { Readiness } from '../../shared/process/readiness.ts'
import type { Build } from '../../shared/process/version.ts'
import type { Rates } from '../../shared/rates.ts'
import type { Registry } from '../../shared/registry/port.ts'
import type { Stamp } from '../../shared/stamps/scheme.ts'

/** The server as routes see it. */
export type Api = FastifyInstance<Server, IncomingMessage, ServerResponse, FastifyBaseLogger, TypeBoxTypeProvider>

/** What the process tells of itself beside its build. */
export interface ProcessStatus {
  readonly mode: 'standalone' | 'cluster'
  /** Where devices connect; undefined when this process has no broker. */
  readonly mqtt: { readonly host: string; readonly port: number } | undefined
  /** Readings stored since the start; undefined when this process has no worker. */
  readonly readings: number | undefined
}

/** What the API is made of. A route takes the parts that it uses: {@link ApiParts}. */
export interface ApiOptions {
  readonly log: TelemetryLog
  readonly points: PointStore
  readonly registry: Registry
  /** Decoders that were uploaded, which run where nothing waits for them. */
  readonly uploaded: UploadedTable
  readonly cache: Cache
  readonly nodes: BrokerNodes
  /** The ingest workers that live. */
  readonly workers: () => Promise<readonly GroupOwner[]>
  /** Why contracts of files are not in force; undefined where all are. */
  readonly contracts?: { readonly problem: string | undefined }
  /** The receive clock of this process, shared with the broker; see `ReceiveClock.stampOf`. */
  readonly stamp: (elements: number) => Stamp
  readonly status: () => ProcessStatus
  readonly readiness: Pick<Readiness, 'ask'>
  /** Of those who send readings, shared with the broker where this process has one. */
  readonly rates: Rates
  readonly settings: Config<typeof queryApiSettings>
  /** Bytes of a backup of this deployment, for these recipients; undefined where each server has a backup of its own. */
  readonly backup?: ((recipients: Recipients) => Promise<Readable>) | undefined
  readonly build: Build
  readonly logger: Logger
  readonly metrics: Metrics
  /** Static files of the page. */
  readonly publicFolder: URL | string
}

/** The named parts of the API. */
export type ApiParts<K extends keyof ApiOptions> = Pick<ApiOptions, K>
