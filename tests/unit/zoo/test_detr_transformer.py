import torch

from retinue.zoo.detr_transformer import DetrTransformer


def _transformer() -> DetrTransformer:
    torch.manual_seed(0)
    return DetrTransformer(16, heads=2, encoder_depth=2, decoder_depth=2, feedforward=32).eval()


def test_cells_outside_the_picture_change_nothing() -> None:
    model, queries = _transformer(), torch.randn(3, 16)
    cells, positions = torch.randn(1, 6, 16), torch.randn(1, 6, 16)
    is_inside = torch.tensor([[True, True, False, True, False, False]])
    alone = model(cells[:, is_inside[0]], positions[:, is_inside[0]], is_inside[:, is_inside[0]], queries)
    padded = model(cells, positions, is_inside, queries)
    assert torch.allclose(padded, alone, atol=1e-6)  # sums of another length


def test_layers_are_those_of_pytorchs_own_encoder() -> None:
    """Post-norm, rectifier, epsilon: with no positions it is the textbook's."""
    model = _transformer()
    textbook = torch.nn.TransformerEncoderLayer(16, 2, 32, batch_first=True).eval()
    textbook.load_state_dict(model.encoder["layers"].get_submodule("0").state_dict())
    cells = torch.randn(2, 5, 16)
    answer = model.encoder["layers"].get_submodule("0")(cells, torch.zeros(5, 16), torch.ones(2, 5, dtype=torch.bool))
    assert torch.allclose(answer, textbook(cells), atol=1e-6)  # fused kernels
