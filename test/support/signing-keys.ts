/** Keys that sign bundles, made for one test run. */
import { generateKeyPairSync } from 'node:crypto'

export interface PemPair {
  readonly privateKey: string
  readonly publicKey: string
}

const encodings = {
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
} as const

export const rsaPair = (): PemPair => generateKeyPairSync('rsa', { modulusLength: 2048, ...encodings })
export const ecPair = (namedCurve = 'prime256v1'): PemPair =>
  generateKeyPairSync('ec', { namedCurve, ...encodings })
