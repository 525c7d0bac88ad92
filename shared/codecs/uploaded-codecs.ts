import type { Decoders } from '../registry/decoders-port.ts'
import { CodecRunner } from './codec-runner.ts'
import { UploadedTable } from './uploaded-table.ts'

/** The uploaded decoders of a process, and the thread that codecs run on, which is started when there is one to run. */
export interface OpenCodecs {
  readonly uploaded: UploadedTable
  /** Ends the thread, whatever it does. */
  close(): Promise<void>
}

/** Whoever opens them closes them. Codecs that are paused are tried again whenever one was uploaded. */
export function openCodecs(decoders: Pick<Decoders, 'onPut'>): OpenCodecs {
  const runner = new CodecRunner()
  const uploaded = new UploadedTable(runner)
  const unsubscribe = decoders.onPut(() => uploaded.resume())
  const close = (): Promise<void> => {
    unsubscribe()
    return runner.close()
  }
  return { uploaded, close }
}
