import { SluiceError } from '../errors.ts'
import type { DecoderDefinition } from '../registry/decoders-port.ts'
import { wrongCodecOptions } from './codec-input.ts'
import { CodecRunner } from './codec-runner.ts'
import { openProtobuf } from './protobuf.ts'

/** Resolves when the definition can be used. Error: `decoder_invalid`, with line and reason. */
export async function checkDecoder(definition: DecoderDefinition): Promise<void> {
  const wrong = definition.kind === 'codec' ? await wrongCodec(definition) : await wrongProtobuf(definition)
  if (wrong !== undefined) throw new SluiceError('decoder_invalid', wrong)
}

async function wrongCodec({ content, options }: DecoderDefinition): Promise<string | undefined> {
  const wrong = wrongCodecOptions(options)
  if (wrong !== undefined) return wrong
  const runner = new CodecRunner()
  try {
    return await runner.check(content)
  } finally {
    await runner.close()
  }
}

async function wrongProtobuf(definition: DecoderDefinition): Promise<string | undefined> {
  const opened = await openProtobuf(definition)
  return typeof opened === 'string' ? opened : undefined
}
