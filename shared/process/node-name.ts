import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { SluiceError } from '../errors.ts'

export interface NodeNameOptions {
  /** `NODE_ID`. */
  readonly id: string | undefined
  /** Where it listens; 0 = chosen by the system. */
  readonly port: number
  /** Several processes of this machine listen on the port. */
  readonly isPortShared?: boolean
}

const MAX_BYTES = 128

/**
 * The name of a process of a cluster: its service, and `NODE_ID`, or host and port, which no other one has and which are the
 * same after a restart. Where they are not, it is made up. Error: `setting_invalid`.
 */
export function nodeName(service: string, { id, port, isPortShared = false }: NodeNameOptions): string {
  if (id !== undefined && Buffer.byteLength(id) > MAX_BYTES) {
    throw new SluiceError('setting_invalid', `NODE_ID: is longer than ${MAX_BYTES} bytes`)
  }
  const isStable = port !== 0 && !isPortShared
  const place = `${hostname()}:${isStable ? port : `${process.pid}-${randomBytes(3).toString('hex')}`}`
  return `${service}/${id ?? place}`
}
