"""What TotalSegmentator's label names mean: titles, SNOMED CT codes, colours."""

import pytest
from pydicom.sr._concepts_dict import concepts

from Med3DCore.anatomy import STRUCTURES
from Med3DCore.io.label_names import TISSUE, distinct, label_for, our_name

PAIRED = (
    "kidney adrenal_gland kidney_cyst subclavian_artery common_carotid_artery brachiocephalic_vein iliac_artery "
    "iliac_vena humerus scapula clavicula femur hip gluteus_maximus gluteus_medius gluteus_minimus autochthon "
    "iliopsoas lung_upper_lobe lung_lower_lobe"
)
SINGLE = (
    "spleen gallbladder liver stomach pancreas esophagus trachea thyroid_gland small_bowel duodenum colon "
    "urinary_bladder prostate sacrum vertebrae_S1 heart aorta pulmonary_vein brachiocephalic_trunk "
    "atrial_appendage_left superior_vena_cava inferior_vena_cava portal_vein_and_splenic_vein spinal_cord brain skull "
    "sternum costal_cartilages lung_middle_lobe_right"
)
TOTAL = [
    *SINGLE.split(),
    *(f"{name}_{side}" for name in PAIRED.split() for side in ("left", "right")),
    *(f"vertebrae_{letter}{number}" for letter, n in (("C", 7), ("T", 12), ("L", 5)) for number in range(1, n + 1)),
    *(f"rib_{side}_{number}" for side in ("left", "right") for number in range(1, 13)),
]
GENERAL = {"gland", "vein", "of", "heart", "lung"}
# Meanings of DICOM's own list of SNOMED CT codes, which comes with pydicom and has most of them.
MEANINGS = {code: meaning for names in concepts["SCT"].values() for code, (meaning, _) in names.items()}


@pytest.fixture(scope="module")
def labels():
    return {name: label_for(our_name(name), position) for position, name in enumerate(TOTAL)}


def test_all_117_have_a_title_a_code_and_a_colour_of_their_own(labels):
    assert len(TOTAL) == len(set(TOTAL)) == 117
    assert all(label.type != TISSUE for label in labels.values())
    assert len({label.name for label in labels.values()}) == len({label.title for label in labels.values()}) == 117
    meant = {(label.type[1], label.modifier) for label in labels.values()}
    assert len(meant) == 117
    assert tuple(distinct(labels.values())) == tuple(labels.values())


def test_sides_are_modifiers_unless_the_code_says_them(labels):
    assert labels["kidney_left"].name == "left_kidney"  # one of Med3D's own
    gland = labels["adrenal_gland_right"]
    assert (gland.name, gland.title, gland.modifier[2]) == ("adrenal_gland_right", "Right adrenal gland", "Right")
    assert labels["lung_middle_lobe_right"].modifier is labels["atrial_appendage_left"].modifier is None
    assert labels["rib_left_10"].title == "Left rib 10" and labels["rib_left_10"].type[2] == "Tenth rib"
    assert labels["kidney_cyst_left"].category[2] == "Morphologically Altered Structure"
    for name in ("rib_left_right_1", "vertebrae_T13", "adrenal_tumour"):
        assert label_for(our_name(name), 0).type == TISSUE
    assert label_for("Gall bladder", 0).type == label_for("gallbladder", 5).type


def test_codes_mean_in_snomed_what_the_titles_say():
    """Of those that DICOM lists, too: words begin alike, such as "prostate" and "prostatic structure"."""
    known = [structure for structure in STRUCTURES.values() if structure.code in MEANINGS]
    assert len(known) > 65
    for structure in known:
        theirs = {word[:4] for word in MEANINGS[structure.code].lower().split()}
        ours = [set(text.lower().split()) - GENERAL for text in (structure.title, structure.meaning) if text]
        assert any({word[:4] for word in words} <= theirs for words in ours), (structure, MEANINGS[structure.code])
