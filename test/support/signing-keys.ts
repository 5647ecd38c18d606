/** Keys that sign bundles, made for one test run. */
import { generateKeyPairSync, type KeyPairKeyObjectResult } from 'node:crypto'

export interface PemPair {
  readonly privateKey: string
  readonly publicKey: string
}

export const rsaPair = (): PemPair => inPem(generateKeyPairSync('rsa', { modulusLength: 2048 }))
export const ecPair = (namedCurve = 'prime256v1'): PemPair => inPem(generateKeyPairSync('ec', { namedCurve }))

function inPem({ privateKey, publicKey }: KeyPairKeyObjectResult): PemPair {
  return {
    privateKey: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
    publicKey: String(publicKey.export({ type: 'spki', format: 'pem' })),
  }
}
